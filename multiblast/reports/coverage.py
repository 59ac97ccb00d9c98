"""How much of a query is covered, as BLAST+ counts and rounds it."""

from __future__ import annotations

from collections.abc import Iterable

_ALMOST_WHOLE_PERCENT = 99


def coverage_percent(spans: Iterable[tuple[int, int]], length: int) -> int:
    """Return what alignments cover together; each has a first and last position, in either order, 1-based."""
    covered = end = 0
    for first, last in sorted((min(span), max(span)) for span in spans):
        covered += max(0, last - max(first - 1, end))
        end = max(end, last)
    percent = 100 * covered / length
    return int(percent + 0.5 if percent < _ALMOST_WHOLE_PERCENT else percent)
