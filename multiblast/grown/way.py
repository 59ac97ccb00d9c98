"""For which searches a part of a database is enough: the table of what was tested."""

from __future__ import annotations

from dataclasses import dataclass

from multiblast.options import Options


@dataclass(frozen=True, slots=True)
class Way:
    """How the new state is searched for queries whose results of an earlier state are known.

    Attributes:
        row: What the table calls it, by which it is switched off.
    """

    row: str


def way_for(options: Options) -> Way | None:
    """Return how a search can be made of a part of its databases; None if they must be searched whole."""
    _ = options
    return None
