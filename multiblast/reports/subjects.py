"""Sequences of subjects as FASTA: whole, by the ids that results have of them, or the parts that are aligned."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from io import BufferedReader, RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

from multiblast.archive.rows import names_in_rows
from multiblast.archive.summary import read_subjects
from multiblast.database import QueryJob
from multiblast.molecules import DatabaseKind
from multiblast.programs import Program
from multiblast.reports.html.archive_reader import Subject
from multiblast.search import SearchEngine, search_plugin
from multiblast.targets import BlastDatabase, database_argument, ordinal_of

_LINE = 80


def open_subjects(engine: SearchEngine, query: QueryJob, names: Iterable[str]) -> BinaryIO:
    """Open the whole sequences of subjects of a query job as FASTA, each once.

    Args:
        engine: Finds the databases of the job.
        query: The job.
        names: By which its results know subjects; read once it is sure that its databases are there.

    Raises:
        ConflictError: a database changed since the job was searched.
    """
    databases, program = engine.resolver.context(query).databases, engine.installation.program("blastdbcmd")
    write, wanted = write_named if search_plugin(query.program) else write_subjects, list(dict.fromkeys(names))
    return _opened(lambda output: write(databases, wanted, output, program) if wanted else output.touch())


def open_all_subjects(engine: SearchEngine, query: QueryJob) -> BinaryIO:
    """Open the whole sequences of all that a complete query job found: see `open_subjects`."""
    keys = (child.result_key for child in engine.jobs.children(query) if child.pack)
    read = names_in_rows if search_plugin(query.program) else read_subjects
    return open_subjects(engine, query, (name for archive in engine.results.archives(keys) for name in read(archive)))


def open_aligned_parts(subjects: Iterable[Subject]) -> BinaryIO:
    """Open the parts of subjects that are aligned, one for each alignment, as they are in it but for gaps."""
    return _opened(lambda output: write_aligned_parts(subjects, output))


def _opened(write: Callable[[Path], object]) -> BinaryIO:
    with TemporaryDirectory(prefix="multiblast-") as directory:
        output = Path(directory) / "subjects.fasta"
        write(output)
        return output.open("rb")  # it can be read although the directory goes


def write_subjects(
    databases: Sequence[BlastDatabase], subjects: Sequence[str], output: Path, program: str = "blastdbcmd"
) -> None:
    """Write subjects as FASTA, by the ids that an archive has of them.

    ``blastdbcmd`` looks up ids, in the order that is given. In databases without ids it finds no sequence by its
    number: all are read as far as the last that is wanted, and written in the order of the databases.

    Raises:
        ProgramError: the program is missing, or a database cannot be read.
    """
    kind = "nucl" if databases[0].molecule is DatabaseKind.NUCLEOTIDE else "prot"
    command = [program, "-db", database_argument(databases), "-dbtype", kind]
    ordinals = {ordinal for subject in subjects if (ordinal := ordinal_of(subject)) is not None}
    if ordinals:
        _write_by_ordinal(command, ordinals, output)
        return
    with TemporaryDirectory(dir=output.parent, prefix=".subjects-") as directory:
        entries = Path(directory) / "entries"
        entries.write_text("".join(f"{subject}\n" for subject in dict.fromkeys(subjects)))
        Program([*command, "-entry_batch", str(entries), "-target_only", "-outfmt", "%f"], stdout=output).run()


def _write_by_ordinal(command: Sequence[str], ordinals: set[int], output: Path) -> None:
    left = set(ordinals)
    table = _printed([*command, "-entry", "all", "-outfmt", "%o\t%s\t%t"], output.parent)
    with output.open("wb") as file, closing(table) as lines:
        for line in lines:
            number, _, rest = line.partition(b"\t")
            if int(number) in left:
                left.remove(int(number))
                letters, _, title = rest.rstrip(b"\n").partition(b"\t")
                file.write(_record(title, letters))
            if not left:
                return


def _printed(command: Sequence[str], directory: Path) -> Generator[bytes]:
    """Yield the lines that a program prints, while it runs; it is stopped once no more are read."""
    with TemporaryDirectory(dir=directory, prefix=".subjects-") as beside:
        printed = Path(beside) / "printed"
        with Program(command, stdout=printed) as reading:
            with BufferedReader(cast("RawIOBase", reading.follow(printed))) as lines:
                yield from lines
            reading.finish()


def write_named(
    databases: Sequence[BlastDatabase], names: Sequence[str], output: Path, program: str = "blastdbcmd"
) -> None:
    """Write subjects as FASTA, by the first words of their titles, as search plugins know them.

    Not every database can be looked up by these, so all of it is read; they are written in its order.

    Raises:
        ProgramError: the program is missing, or a database cannot be read.
    """
    kind = "nucl" if databases[0].molecule is DatabaseKind.NUCLEOTIDE else "prot"
    command = [program, "-db", database_argument(databases), "-dbtype", kind, "-entry", "all"]
    wanted, is_wanted = {name.encode("utf-8", "surrogateescape") for name in names}, False
    with output.open("wb") as file, closing(_printed(command, output.parent)) as lines:
        for line in lines:
            if line.startswith(b">"):
                is_wanted = not wanted.isdisjoint(line[1:].split(maxsplit=1)[:1])
            if is_wanted:
                file.write(line)


def write_aligned_parts(subjects: Iterable[Subject], output: Path) -> None:
    """Write the parts of subjects that are aligned, one for each alignment, as they are in it but for gaps."""
    with output.open("wb") as file:
        for subject in subjects:
            for hsp in subject.hsps:
                title = f"{subject.name}:{hsp.subject_start}-{hsp.subject_end} {subject.title}".rstrip()
                file.write(_record(title.encode("utf-8", "replace"), hsp.subject_row.replace("-", "").encode()))


def _record(title: bytes, letters: bytes) -> bytes:
    rows = (letters[at : at + _LINE] for at in range(0, len(letters), _LINE))
    return b">%s\n%s\n" % (title, b"\n".join(rows))
