"""Searching only what is new in a database that has grown, with the statistics of the whole of it."""

from __future__ import annotations

from multiblast.grown.candidates import Counted
from multiblast.grown.cutoffs import EarlierSearch
from multiblast.grown.difference import Difference, Runs
from multiblast.grown.oids import OidSet
from multiblast.grown.partial import KnownResult, Part, PartialSearch, partial_search
from multiblast.grown.way import Way, way_for

__all__ = [
    "Counted",
    "Difference",
    "EarlierSearch",
    "KnownResult",
    "OidSet",
    "Part",
    "PartialSearch",
    "Runs",
    "Way",
    "partial_search",
    "way_for",
]
