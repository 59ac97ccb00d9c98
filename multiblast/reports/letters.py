"""The letters that BLAST+ can write as XML, those of Latin-1 or ASCII; with any other it fails half-way.

It does also with a title that ends in a letter beyond ASCII.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from multiblast.blast_versions import version_numbers
from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, Problem
from multiblast.reports.report_options import Formatting
from multiblast.search import SearchEngine
from multiblast.targets import database_argument

_NOT_WRITTEN = " ,.;~"  # at the end of a title
_REMEDY = "BLAST+ cannot write such letters as XML: choose another format, such as 15 (JSON) or 0 (text)"


def last_letter_in_xml(version: str) -> str:
    """Return the last of the letters, in Unicode's order, that a version of BLAST+ can write as XML."""
    return "\xff" if version_numbers(version) < (2, 17) else "\x7f"


def check_letters(engine: SearchEngine, query: QueryJob, formatting: Formatting) -> None:
    """Refuse XML of a job whose titles, or the path of whose databases, have letters that BLAST+ cannot write.

    In titles of subjects there are none: ``makeblastdb`` has replaced them.

    Raises:
        InvalidInputError: names the record or the path.
    """
    if formatting.row.extension == "xml" and (problem := next(_problems(engine, query), None)):
        raise InvalidInputError(problem)


def _problems(engine: SearchEngine, query: QueryJob) -> Iterator[Problem]:
    last = last_letter_in_xml(engine.installation.version("blast_formatter"))
    with suppress(ConflictError, InvalidInputError):  # of databases that are not here any more: said when they are read
        path = database_argument(engine.resolver.context(query).databases)
        if found := _beyond(path.encode("utf-8", "surrogateescape"), last):
            yield Problem(f"the database's path {path!r} has {found!r}: {_REMEDY}", "formatType")
    for sequence in engine.sequences(query):
        if found := _beyond(sequence.defline, last) or _at_end(sequence.defline):
            reason = f"the title {sequence.title[:60]!r} has {found!r}: {_REMEDY}"
            yield Problem(reason, "formatType", record=sequence.number)


def _beyond(text: bytes, last: str) -> str:
    """Return the first letter beyond the last one."""
    return next((letter for letter in _letters(text) if letter > last), "")


def _at_end(title: bytes) -> str:
    """Return the letter at the end of a title if it is not ASCII: after it BLAST+ reads on beyond the title."""
    end = _letters(title).rstrip(_NOT_WRITTEN)[-1:]
    return "" if end.isascii() else end


def _letters(text: bytes) -> str:
    """Read text as BLAST+ does: what is no UTF-8 it takes for that of Windows, else for Latin-1."""
    for encoding in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            return text.decode(encoding)
    return text.decode("latin-1")
