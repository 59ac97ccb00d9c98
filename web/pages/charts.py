"""Small charts of how values are spread, to be drawn by a template."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

_BARS = 12


class Bar(NamedTuple):
    """A bar of a chart: what values it counts, and how high it is in hundredths of the highest."""

    text: str
    hits: int
    height: float


class Chart(NamedTuple):
    """How values are spread: a heading, the same in a sentence, and the bars from the least value to the largest."""

    title: str
    text: str
    least: str
    largest: str
    bars: list[Bar]


def spread(title: str, values: Sequence[float]) -> Chart:
    """Return the chart of some values, at least one."""
    least, largest = min(values), max(values)
    width = (largest - least) / _BARS or 1.0
    counts = [0] * _BARS
    for value in values:
        counts[min(int((value - least) / width), _BARS - 1)] += 1
    bars = [
        Bar(
            f"{least + number * width:,.0f} to {least + (number + 1) * width:,.0f}: {count:,}",
            count,
            100 * count / max(counts),
        )
        for number, count in enumerate(counts)
    ]
    noun = "hit" if len(values) == 1 else "hits"
    text = f"{title} of {len(values):,} {noun}: {least:,.0f} to {largest:,.0f}, median {statistics.median(values):,.0f}"
    return Chart(title, text, f"{least:,.0f}", f"{largest:,.0f}", bars)
