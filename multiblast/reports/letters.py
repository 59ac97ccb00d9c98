"""The letters that BLAST+ can write as XML: those of Latin-1; with any other it fails half-way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.reports.report_options import Formatting
from multiblast.search import SearchEngine
from multiblast.sequences import read_fasta
from multiblast.targets import database_argument

_REMEDY = "BLAST+ cannot write letters outside Latin-1 as XML: choose another format, such as 15 (JSON) or 0 (text)"


def check_letters(engine: SearchEngine, query: QueryJob, formatting: Formatting) -> None:
    """Refuse XML of a job whose titles, or the path of whose databases, have letters that BLAST+ cannot write.

    In titles of subjects there are none: ``makeblastdb`` has replaced them.

    Raises:
        InvalidInputError: names the record or the path.
    """
    if formatting.row.extension == "xml" and (problem := next(_problems(engine, query), None)):
        raise InvalidInputError(problem)


def _problems(engine: SearchEngine, query: QueryJob) -> Iterator[Problem]:
    with suppress(ConflictError, InvalidInputError):  # of databases that are not here any more: said when they are read
        path = database_argument(engine.resolver.context(query).databases)
        if found := _beyond(path.encode("utf-8", "surrogateescape")):
            yield Problem(f"the database's path {path!r} has {found!r}: {_REMEDY}", "formatType")
    with engine.store.open(query.query_key, query.query_offset, query.query_bytes) as stream:
        for sequence in read_fasta(stream):
            if found := _beyond(sequence.defline):
                reason = f"the title {sequence.title[:60]!r} has {found!r}: {_REMEDY}"
                yield Problem(reason, "formatType", record=sequence.number)


def _beyond(text: bytes) -> str:
    """Return the first letter outside Latin-1; none of what is no UTF-8, which BLAST+ takes byte by byte."""
    try:
        return next((letter for letter in text.decode() if letter > "\xff"), "")
    except UnicodeDecodeError:
        return ""
