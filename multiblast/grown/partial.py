"""The search of those sequences of a database that are new, or known as hits: exact, or refused query by query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.archive.summary import read_subjects
from multiblast.errors import InvalidInputError, UnderivableError
from multiblast.grown.alias import argument_of, write_alias
from multiblast.grown.candidates import Sample, hits_in
from multiblast.grown.cutoffs import EarlierSearch
from multiblast.grown.difference import Difference
from multiblast.grown.known_hits import KnownHits, Run
from multiblast.grown.oids import OidSet
from multiblast.grown.way import Way, way_for
from multiblast.options import Options
from multiblast.targets import BlastDatabase

_MOST_REMOVED = 0.25


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
        run: Runs a short search of a sample, which shows how many subjects each query has about, and ``blastdbcmd``.

    Raises:
        ProgramError: a program failed.
        ArchiveError: a known result is not as it should be.
    """
    way = way_for(options)
    result = PartialSearch(way)
    reason = "the options are not in the table" if way is None else _hindrance(options, difference)
    if way is None or reason:
        result.refused = {one.key: reason for one in known}
        return result
    hits: dict[str, list[str]] = {}
    query_file, evalue = directory / "sample.fasta", 0.0
    with query_file.open("wb") as file:
        for one in known:
            search = EarlierSearch(one.archive, way.linked) if one.archive else None
            subjects = list(read_subjects(one.archive))
            if reason := _refusal(options, difference, search, len(subjects)):
                result.refused[one.key] = reason
            elif search is not None:
                evalue = search.request.evalue
                file.write(b">%d\n%b\n" % (len(hits), one.residues))
                hits[one.key] = subjects
    try:
        if hits:
            full = _with_full_lists(options, databases, difference, list(hits), evalue, directory, run)
            for key in full:
                result.refused[key] = "so many subjects are similar that BLAST+ may drop some"
                del hits[key]
        _write(result, databases, difference, hits, directory, run)
    except InvalidInputError as error:
        result.refused |= dict.fromkeys(hits, str(error))
        result.keys = []
    return result


def _hindrance(options: Options, difference: Difference) -> str:
    """Return why no query can be searched in a part; empty if some can."""
    sample = Sample(options, difference.sequences)
    if difference.removed > _MOST_REMOVED * difference.earlier_sequences:
        return "too much was removed from the databases"
    if sample.is_needed and not sample.pays:
        return f"too few subjects are kept for {options.most_targets} targets: BLAST+ may drop some"
    return ""


def _refusal(options: Options, difference: Difference, search: EarlierSearch | None, hits: int) -> str:
    """Return why one query must be searched whole, as far as its earlier result says; empty if it need not."""
    if search is None or not search.was_searched:
        return "nothing of it can be searched"
    if hits >= options.most_targets:
        return "its list of hits is full"
    try:
        return _refusal_by_size(search, difference)
    except UnderivableError as error:
        return str(error)


def _refusal_by_size(search: EarlierSearch, difference: Difference) -> str:
    new, earlier = difference.size, difference.earlier_size
    if search.space(earlier) != search.stated_space:
        return "its statistics cannot be derived"
    if search.space(new) < search.stated_space or new.letters < earlier.letters:
        return "the databases have shrunk, so that weaker hits count"
    return "" if search.cutoffs(new) == search.cutoffs(earlier) else "the least score of a hit has changed"


def _with_full_lists(  # noqa: PLR0913, PLR0917 - as its caller
    options: Options,
    databases: Sequence[BlastDatabase],
    difference: Difference,
    keys: Sequence[str],
    evalue: float,
    directory: Path,
    run: Run,
) -> list[str]:
    """Return the queries for which BLAST+ may have more subjects than it keeps."""
    sample = Sample(options, difference.sequences)
    if not sample.is_needed:
        return []
    alias = write_alias(databases, difference.size, sample.subjects(), directory, "sample")
    command = [options.program, "-query", str(directory / "sample.fasta"), "-db", argument_of(alias)]
    output = directory / "sample.out"
    run([*command, *sample.arguments(evalue)], output)
    found = hits_in(output, map(str, range(len(keys))))
    return [key for number, key in enumerate(keys) if found[str(number)] > sample.most_hits]


def _write(  # noqa: PLR0913, PLR0917 - as its caller
    result: PartialSearch,
    databases: Sequence[BlastDatabase],
    difference: Difference,
    hits: Mapping[str, Sequence[str]],
    directory: Path,
    run: Run,
) -> None:
    if not hits:
        return
    found = KnownHits(databases, difference, directory, run).find(hits)
    result.subjects = OidSet(difference.sequences, bytearray(difference.added.bits[: len(difference.added.bits)]))
    for numbers in found.values():
        result.subjects.add(numbers)
    alias = write_alias(databases, difference.size, result.subjects, directory, "part")
    result.database = argument_of(alias)
    result.keys = list(hits)
