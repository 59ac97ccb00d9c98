"""Several rounds of psiblast: each query formatted alone, and what is said at its end."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from multiblast.archive.notes import Section, read_search, read_sections
from multiblast.archive.summary import ArchivedSubject, read_subjects

_CONVERGED = b"Search has CONVERGED!\n"
_LISTED = re.compile(rb"(Sequences producing significant alignments:[^\n]*\n)\n((?:[^\n]+\n)+)")
_LEAST_WIDTH = 6  # of an E-value, and the blank before it
_LAST, _FOOTER = b"\nEffective search space used: ", b"\n\n  Database: "


@dataclass(frozen=True, slots=True)
class QueryRounds:
    """The rounds of one query, in an archive of theirs alone.

    Attributes:
        converged: Whether the last round found nothing new to make a profile of.
        again: Of each round with hits, which subjects, in order, had been found and taken in the round before; empty
            if none had been taken then.
    """

    archive: Path
    sections: tuple[Section, ...]
    converged: bool
    again: tuple[tuple[bool, ...], ...]


def split_rounds(archives: Iterable[Path], directory: Path, part: tuple[int, int] | None) -> list[QueryRounds]:
    """Write each query's rounds to a file of their own; ``part`` is as in `read_sections`."""
    queries: list[QueryRounds] = []
    for archive in archives:
        with archive.open("rb") as stream:
            threshold = read_search(stream).inclusion_threshold
            stream.seek(0)
            grouped = itertools.groupby(list(read_sections(stream, part)), lambda section: section.query)
            for _, rounds in grouped:
                path = directory / f"rounds-{len(queries) + 1}.asn1"
                queries.append(_write_rounds(stream, tuple(rounds), threshold, path))
    return queries


def _write_rounds(stream: BinaryIO, sections: tuple[Section, ...], threshold: float, path: Path) -> QueryRounds:
    """Write the rounds of one query; ``threshold`` is the E-value below which subjects are taken into the profile."""
    included, again = [set[str]()], list[tuple[bool, ...]]()
    subjects: dict[str, ArchivedSubject] = {}
    with path.open("wb") as file:
        for section in sections:
            stream.seek(section.start)
            text = stream.read(section.end - section.start)
            file.write(text.replace(*section.printed, 1) if section.printed else text)
            subjects = read_subjects(text)
            found = tuple(name in included[-1] for name in subjects) if included[-1] else ()
            again += [found] if subjects else []
            included.append({one.id for one in subjects.values() if one.evalue < threshold})
    # A round without any hit ends the search too, and BLAST+ reports nothing of that.
    converged = bool(subjects) and included[-1] <= included[-2]
    return QueryRounds(path, sections, converged, tuple(again))


def join_rounds(queries: Iterable[QueryRounds], path: Path) -> Path:
    """Write the archives of all queries into one file again, and return it."""
    with path.open("wb") as output:
        for query in queries:
            with query.archive.open("rb") as archive:
                shutil.copyfileobj(archive, output)
    return path


def complete(report: bytes, rounds: QueryRounds, *, is_pairwise: bool) -> bytes:
    """Return the report of one query, text or table, with what psiblast itself prints on the rounds."""
    if not is_pairwise:
        return report + (b"\n" + _CONVERGED if rounds.converged else b"")
    known = iter(rounds.again)
    report = _LISTED.sub(lambda found: found[1] + _listed(found[2].splitlines(), next(known, ())), report)
    footer = report.find(_FOOTER, report.rfind(_LAST))  # the first of them: there is one per database
    return report[:footer] + b"\n" + _CONVERGED + report[footer:] if rounds.converged else report


def _listed(lines: list[bytes], again: Sequence[bool]) -> bytes:
    """Return one-line descriptions apart: of subjects that the profile was made of, and of others."""
    if not again:
        return b"\n" + b"".join(line + b"\n" for line in lines)
    old = [line for line, is_known in zip(lines, again, strict=False) if is_known]
    new = [line for line, is_known in zip(lines, again, strict=False) if not is_known]
    text = b"Sequences used in model and found again:\n\n" + _aligned(old)
    return text + b"\nSequences not found previously or not previously below threshold:\n\n" + _aligned(new)


def _aligned(lines: list[bytes]) -> bytes:
    """Return descriptions with their E-values filled up to the same width."""
    cut = [line.rstrip() for line in lines]
    width = max(_LEAST_WIDTH, *(len(line) - line.rfind(b" ") for line in cut)) if cut else 0
    return b"".join(line.ljust(line.rfind(b" ") + width) + b"\n" for line in cut)
