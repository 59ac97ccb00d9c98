"""How option values that people write in several ways become one; what cannot be read is a `ValueError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LARGEST_INTEGER = 2**31 - 1
"""Of BLAST+'s usual numbers."""

_COMPOSITION_MODES = {
    "f": "0",
    "none": "0",
    "comp-based-stats": "1",
    "comp-based-score-adjustment-conditional": "2",
    "conditional-comp-based-score-adjustment": "2",
    "comp-based-score-adjustment-unconditional": "3",
    "unconditional-comp-based-score-adjustment": "3",
}


def number(value: Any) -> Any:
    """Refuse a truth value, as an option has that is named without its value: it would count as 0 or 1."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, and a name without a value means true")  # noqa: TRY004 - pydantic knows no other
    return value


def integer(value: Any) -> Any:
    """Read digits, which a choice of numbers would not accept as text."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()) else value


def upper(value: Any) -> Any:
    """Matrices are known by upper-case names; BLAST+ accepts any case."""
    return value.upper() if isinstance(value, str) else value


def lower_choice(value: Any) -> Any:
    """Write a choice as BLAST+ does: underscores where a ``blastConfig`` has hyphens."""
    return value.replace("-", "_") if isinstance(value, str) else value


def switch_text(value: Any) -> Any:
    """Turn a boolean, or the words BLAST+ takes for one, into ``"true"`` or ``"false"``."""
    words = {
        **dict.fromkeys(("true", "t", "yes", "y", "1"), "true"),
        **dict.fromkeys(("false", "f", "no", "n", "0"), "false"),
    }
    return words.get(str(value).lower(), value)


def composition_mode(default: str, true: str) -> Any:
    """Return a reader of ``-comp_based_stats`` for a program, with what it takes ``D`` and ``T`` for."""
    modes = {**_COMPOSITION_MODES, "d": default, "t": true}

    def read(value: Any) -> Any:
        return modes.get(str(value).lower(), str(value)) if isinstance(value, str | int) else value

    return read


def location_text(value: Any) -> Any:
    """Write ``{"start": 1, "stop": 9}`` or ``"01-9"`` as ``"1-9"``."""
    if isinstance(value, Mapping):
        value = f"{value.get('start', '')}-{value.get('stop', '')}"
    if value == "":
        return value
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write it as start-stop, for example 10-250")
    start, stop = int(match[1]), int(match[2])
    if start < 1:
        raise ValueError("positions count from 1")
    if start > stop:
        raise ValueError(f"the start, {start}, lies after the stop, {stop}")
    if start == stop:
        raise ValueError("BLAST+ searches with no single letter")
    if stop > LARGEST_INTEGER:
        raise ValueError(f"BLAST+ counts positions up to {LARGEST_INTEGER}")
    return f"{start}-{stop}"


def taxids_text(value: Any) -> Any:
    """Write taxonomy ids, a list or text with commas, sorted and each once."""
    items = (
        [str(item) for item in value] if isinstance(value, list | tuple | set | frozenset) else str(value).split(",")
    )
    items = [item.strip() for item in items if item.strip()]
    for item in items:
        if not re.fullmatch(r"[1-9]\d{0,9}", item) or int(item) > LARGEST_INTEGER:
            raise ValueError(f"{item!r} is not a taxonomy id; write numbers with commas, for example 562,9606")
    return ",".join(map(str, sorted({int(item) for item in items})))


def seg_text(value: Any) -> Any:
    """Write SEG's settings as ``"no"`` or ``"window locut hicut"``; ``"yes"`` means ``"12 2.2 2.5"``."""
    return _filter_text(value, {"window": 12, "locut": 2.2, "hicut": 2.5}, whole=("window",))


def dust_text(value: Any) -> Any:
    """Write DUST's settings as ``"no"`` or ``"level window linker"``; ``"yes"`` means ``"20 64 1"``."""
    return _filter_text(value, {"level": 20, "window": 64, "linker": 1}, whole=("level", "window", "linker"))


def _filter_text(value: Any, defaults: Mapping[str, float], whole: tuple[str, ...]) -> str:
    if isinstance(value, Mapping):
        if not value.get("enabled", value.get("enable", True)):
            return "no"
        unknown = set(value) - set(defaults) - {"enabled", "enable"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}; known: enabled, {', '.join(defaults)}")
        value = " ".join(str(value.get(name, number)) for name, number in defaults.items())
    if value is True or str(value).lower() == "yes":
        value = " ".join(map(str, defaults.values()))
    if value is False or str(value).lower() == "no":
        return "no"
    texts = str(value).split()
    if len(texts) != len(defaults) or not all(re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) for text in texts):
        raise ValueError(f"write 'yes', 'no' or three numbers: {' '.join(defaults)}")
    for name, text in zip(defaults, texts, strict=True):
        if name in whole and float(text) != int(float(text)):
            raise ValueError(f"{name} must be a whole number, not {text}")
    return " ".join(f"{float(text):.12g}" for text in texts)
