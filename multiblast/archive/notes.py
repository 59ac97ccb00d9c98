"""BLAST+'s warnings about single queries, which an archive does not keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from multiblast.archive.batch import ArchivedQuery, read_batches, read_request
from multiblast.archive.karlin import KarlinAltschul
from multiblast.archive.residues import RESIDUE_O, length_of, read_residues, with_residues_of
from multiblast.archive.statistics import SearchRequest, read_statistics
from multiblast.archive.text import decode_string

_POSITIONS = 20
_LABEL_MAX, _LABEL_KEPT = 35, 25
_UNSEARCHABLE = (
    "Could not calculate ungapped Karlin-Altschul parameters due to an invalid query sequence or its translation. "
    "Please verify the query sequence(s) and/or filtering options "
)


_PROFILE_PARAMETERS = re.compile(
    rb"\n +lambda \{ (-?\d+), 10, (-?\d+) \},\n +kappa \{ (-?\d+), 10, (-?\d+) \},\n +h \{ (-?\d+), 10, (-?\d+) \}"
)
_FREQUENCIES = re.compile(rb"\n +freqRatios \{\n(.*?)\n +\}(?=[,\n])", re.DOTALL)
_PROFILES, _DOMAINS = "psi", "delta_blast"
_NOT_ADJUSTED = (
    "Composition-based score adjustment conditioned on sequence properties and unconditional composition-based score "
    "adjustment is not supported with PSSMs, resetting to default value of standard composition-based statistics "
)
_NO_FREQUENCIES = (
    "Frequency ratios for PSSM are all zeros, frequency ratios for {matrix} will be used during traceback in "
    "composition based statistics "
)


class Section(NamedTuple):
    """What is to be said of one archive in a merged file; the rounds of psiblast are sections of one query.

    Attributes:
        query: 1-based position of its query in the file.
        note: BLAST+'s warnings, as it has them in reports; their titles may hold any bytes (``surrogateescape``).
        gapped: Parameters of gapped alignment: those of its profile, or of its scores.
        start, end: Offsets of the archive in the file.
        printed: The sequence in its profile, and what BLAST+ prints it as where that can have X for O, or for what
            deltablast masks; else None.
    """

    query: int
    note: str
    gapped: KarlinAltschul | None
    start: int
    end: int
    printed: tuple[bytes, bytes] | None = None


def read_search(stream: BinaryIO) -> SearchRequest:
    """Return what the first archive of a file states of its search."""
    return SearchRequest(*read_request(stream))


def read_sections(stream: BinaryIO, part: tuple[int, int] | None = None) -> Iterator[Section]:
    """Yield what is to be said of each archive in a merged file, in order.

    The part of each query that was searched, its first and last letter, 0-based, is by default what the archive states.
    """
    number, before, has_notes, adjusted, replaced, own = 0, None, False, False, "", b""
    for batch in read_batches(stream):
        (query,) = batch.queries
        search = SearchRequest(batch.opening, batch.request)
        profile = _PROFILE_PARAMETERS.search(query.instance)
        if (query.number, query.ids) != before:  # not another round of psiblast
            # A search that starts from a profile does not name it; the default is an adjustment.
            number, before = number + 1, (query.number, query.ids)
            of_domains = search.service == _DOMAINS  # deltablast says nothing of profiles and residues
            has_notes = search.uses_composition and not of_domains
            adjusted = search.adjusts_scores or (has_notes and profile is not None)
            silent = search.program == "blastn" or of_domains
            replaced = "" if silent else _replaced_residues(query, part or search.part)
            own = query.instance if of_domains or RESIDUE_O.search(query.instance) else b""
        printed = (query.instance, with_residues_of(query.instance, own)) if own and profile else None
        note = ""
        statistics = read_statistics(batch.statistics)
        if (search.query_step == 1 or search.finds_domains) and statistics.ungapped is None:
            note += _UNSEARCHABLE
        if adjusted and profile:  # printed at the first profile only
            note += _NOT_ADJUSTED
            adjusted = False
        if has_notes and profile and not _has_frequencies(query):
            note += _NO_FREQUENCIES.format(matrix=search.matrix)
        note += replaced
        label = _label(query)
        note = f"{label}:  {label}: {note}" if note else ""
        gapped = statistics.gapped if search.service == _DOMAINS else _gapped(search, profile)
        yield Section(number, note, gapped, batch.start, batch.end, printed)


def _gapped(search: SearchRequest, profile: re.Match[bytes] | None) -> KarlinAltschul | None:
    if profile:
        numbers = iter(profile.groups())
        lambda_, k, h = (float(b"%se%s" % pair) for pair in zip(numbers, numbers, strict=True))
        return KarlinAltschul(lambda_, k, h)
    costs = search.costs() if search.service == _PROFILES else None
    return KarlinAltschul(costs.lambda_, costs.k, costs.h) if costs else None


def _has_frequencies(query: ArchivedQuery) -> bool:
    found = _FREQUENCIES.search(query.instance)
    return found is None or re.search(rb"\{ [1-9]", found[1]) is not None


def _label(query: ArchivedQuery) -> str:
    """Return the query's name and title, cut as BLAST+ cuts them."""
    name = query.name.encode("utf-8", "surrogateescape")
    if query.title:
        name += b" " + decode_string(query.title).encode("utf-8", "surrogateescape")
    if len(name) > _LABEL_MAX:
        name = name[:_LABEL_KEPT] + b".. "
    return name.decode("utf-8", "surrogateescape")


def _replaced_residues(query: ArchivedQuery, part: tuple[int, int] | None) -> str:
    """Return the note on residues that no matrix has a score for; their places are counted in the part searched."""
    if not RESIDUE_O.search(query.instance):
        return ""
    first, last = part or (0, length_of(query.instance))
    residues = read_residues(query.instance)[first : last + 1]
    places = [str(place) for place, residue in enumerate(residues) if residue == "O"]
    if not places:
        return ""
    more = f",... (only first {_POSITIONS} shown)" if len(places) > _POSITIONS else ""
    listed = ", ".join(places[:_POSITIONS])
    return f"One or more O characters replaced by X for alignment score calculations at positions {listed}{more} "
