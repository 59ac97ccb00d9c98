"""A merged archive formatted, byte for byte as BLAST+ itself would have printed it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from multiblast.archive.notes import Note, read_notes, read_search
from multiblast.archive.statistics import Search
from multiblast.errors import ArchiveError
from multiblast.programs import Program, run_program
from multiblast.reports.filters import annotate, join_pairwise, join_sam, join_tabular, read_chunks, restore_statistics
from multiblast.reports.formats import Formatting

__all__ = ["JOINABLE", "format_archive"]

ENVIRONMENT = {
    "BLAST_USAGE_REPORT": "false",
    # Titles outside ASCII as they are; by default each of their bytes becomes "#".
    "NCBI_CONFIG__SERIAL__WRONG_CHARS_READ": "ALLOW",
}

PAIRWISE, COMMENTED_TABLE, ARCHIVE, SAM = range(5), 7, 11, 17
JSON = (13, 15)
JOINABLE = frozenset({*PAIRWISE, 6, COMMENTED_TABLE, 10, 12, SAM, 18})
"""Formats in which the report of many queries is the reports of some and of the others, one after the other."""
PSI = "psi"
ANNOTATED = (5, 15, 16)  # in one file


def format_archive(  # noqa: PLR0913 - a report, its place and the limits of making it
    archive: Path | Sequence[Path],
    formatting: Formatting,
    *,
    program: str,
    queries: int,
    directory: Path,
    blast_formatter: Path | str = "blast_formatter",
    timeout_s: float = 0,
    cancelled: Callable[[], bool] | None = None,
) -> list[Path]:
    """Write a report and return its files, the one to open first before those of single queries.

    Args:
        archive: What `multiblast.archive.merge` wrote; for a format in `JOINABLE` several such
            files, one continuing the other's numbers, which are then formatted at the same time.
        formatting: Format and options.
        program: The program that searched.
        queries: How many there are.
        directory: Where ``report.<extension>`` and the like go; it must exist.
        blast_formatter: The program, by path or name.
        timeout_s: Wall-clock limit in seconds; 0 is none.
        cancelled: Asked several times a second; the program is killed once it returns True.

    Raises:
        InvalidInputError: the program has no such report.
        ArchiveError: the archive is damaged, or its report holds not all queries.
        ProgramError: ``blast_formatter`` failed.
    """
    formatting.check_program(program)
    archives = [archive] if isinstance(archive, Path) else list(archive)
    archive = archives[0]
    report = directory / f"report.{formatting.format.extension}"
    if formatting.format_type == ARCHIVE:
        shutil.copyfile(archive, report)
        return [report]
    command = [str(blast_formatter), "-archive", str(archive), *formatting.arguments()]
    if formatting.format.one_file_a_query:
        command += ["-out", str(report)]
    cure = _cure(archive, formatting.format_type, queries)
    raw = directory / "report.raw" if cure else report
    if len(archives) > 1:
        run = partial(run_program, environment=ENVIRONMENT, timeout_s=timeout_s, cancelled=cancelled)
        _format_parts(archives, [str(blast_formatter), *formatting.arguments()], raw, run)
        if cure:
            _rewrite(raw, cure, report)
        return [report]
    with Program(command, stdout=raw, environment=ENVIRONMENT, timeout_s=timeout_s, cancelled=cancelled) as running:
        if cure:
            _apply(cure, running, raw, report)
        running.finish()
    return [report, *_cure_files(archive, report, queries)] if formatting.format.one_file_a_query else [report]


Cure = Callable[[BinaryIO], Iterable[bytes]]


def _format_parts(archives: Sequence[Path], command: Sequence[str], raw: Path, run: Callable[..., object]) -> None:
    """Format several archives at the same time, and write what is printed of them into one file, in order."""
    outputs = [raw.with_name(f"{raw.name}.{number}") for number in range(len(archives))]
    commands = [[*command, "-archive", str(archive)] for archive in archives]
    with ThreadPoolExecutor(len(archives)) as pool:
        list(pool.map(lambda pair: run(pair[0], stdout=pair[1]), zip(commands, outputs, strict=True)))
    with outputs[0].open("ab") as joined:
        for output in outputs[1:]:
            with output.open("rb") as part:
                shutil.copyfileobj(part, joined)
            output.unlink()
    outputs[0].replace(raw)


def _cure(archive: Path, format_type: int, queries: int) -> Cure | None:
    """Return what makes the format's output whole; None if nothing needs to be done."""
    if format_type == COMMENTED_TABLE:
        return lambda stream: join_tabular(read_chunks(stream), queries)
    if format_type == SAM:
        return join_sam
    if format_type not in (*PAIRWISE, *ANNOTATED):
        return None
    search = _search(archive)
    if format_type in PAIRWISE:
        return lambda stream: join_pairwise(read_chunks(stream), search, queries)
    notes = _notes(archive)
    if not notes and search.service != PSI:
        return None
    return partial(_cure_structured, search=search, notes=notes, is_json=format_type in JSON)


def _cure_structured(stream: BinaryIO, search: Search, notes: Sequence[Note], *, is_json: bool) -> Iterable[bytes]:
    """Yield an XML or JSON report, cured."""
    chunks = annotate(stream, notes, is_json=is_json) if notes else read_chunks(stream)
    return restore_statistics(chunks, search) if search.service == PSI else chunks


def _apply(cure: Cure, running: Program, raw: Path, report: Path) -> None:
    """Write the cured report while the program still writes the raw one."""
    try:
        followed = cast("RawIOBase", running.follow(raw))
        with BufferedReader(followed) as stream, report.open("wb") as output:
            output.writelines(cure(stream))
    except ArchiveError:
        running.finish()  # a program that failed half-way says why
        raise
    finally:
        raw.unlink()


def _cure_files(archive: Path, report: Path, queries: int) -> list[Path]:
    """Return the files of single queries, cured."""
    files = [report.with_name(f"{report.stem}_{number}{report.suffix}") for number in range(1, queries + 1)]
    search, notes = _search(archive), {note.number: [note] for note in _notes(archive)}
    for number, path in enumerate(files, start=1):
        if number in notes or search.service == PSI:
            cure = partial(_cure_structured, search=search, notes=notes.get(number, []), is_json=path.suffix == ".json")
            _rewrite(path, cure)
    return files


def _rewrite(path: Path, cure: Cure, into: Path | None = None) -> None:
    cured = path.with_suffix(".cured")
    with path.open("rb") as stream, cured.open("wb") as output:
        output.writelines(cure(stream))
    path.unlink()
    cured.replace(into or path)


def _search(archive: Path) -> Search:
    with archive.open("rb") as stream:
        return read_search(stream)


def _notes(archive: Path) -> list[Note]:
    with archive.open("rb") as stream:
        return list(read_notes(stream))
