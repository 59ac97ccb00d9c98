"""Hits as Parquet: written from an archive, read a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cache, reduce
from itertools import count, islice
from operator import and_, ge, le
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from multiblast.errors import ArchiveError, InvalidInputError, Problem
from multiblast.reports.blast_formatter import BlastFormatter
from multiblast.sequences.sequence import as_text

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import dataset

    from multiblast.reports.writer import ReportSource

HitOrder = Literal["evalue", "bitscore", "pident", "qcovs", "length"]

_ROW_GROUP_ROWS = 16384
_MAX_PAGE_ROWS = 10_000
_ROUND, _FIRST_ROUND, _QUERY = b"# Iteration: ", b"# Iteration: 1\n", b"# Query: "
_UNKNOWN = ("N/A", "0")  # a title, a strand, a taxonomy id that there is not


def _column(kind: str, meaning: str) -> dict[str, str]:
    return {"kind": kind, "meaning": meaning}


@dataclass(frozen=True, slots=True)
class Hit:
    """One alignment (HSP) of a query and a subject; a row of the table.

    The names are those of BLAST+'s tabular format, and so are the values; ``query`` and
    ``qtitle`` are ours. Coordinates are 1-based and inclusive; a start beyond its end
    means the minus strand.
    """

    query: int = field(metadata=_column("int32", "position of the query in the job, from 1"))
    qseqid: str = field(metadata=_column("string", "first word of the query's title, `Query_N` if it has none"))
    qtitle: str = field(metadata=_column("string", "title of the query"))
    qlen: int = field(metadata=_column("int32", "length of the query"))
    sseqid: str = field(metadata=_column("string", "id of the subject"))
    saccver: str = field(metadata=_column("string", "accession and version of the subject"))
    slen: int = field(metadata=_column("int32", "length of the subject"))
    pident: float = field(metadata=_column("float64", "identical matches in percent of `length`"))
    length: int = field(metadata=_column("int32", "columns of the alignment"))
    mismatch: int = field(metadata=_column("int32", "mismatches"))
    gapopen: int = field(metadata=_column("int32", "gaps opened"))
    gaps: int = field(metadata=_column("int32", "gap columns"))
    nident: int = field(metadata=_column("int32", "identical matches"))
    positive: int = field(metadata=_column("int32", "matches with a positive score"))
    qstart: int = field(metadata=_column("int32", "start in the query"))
    qend: int = field(metadata=_column("int32", "end in the query"))
    sstart: int = field(metadata=_column("int32", "start in the subject"))
    send: int = field(metadata=_column("int32", "end in the subject"))
    qframe: int = field(metadata=_column("int8", "reading frame or strand of the query"))
    sframe: int = field(metadata=_column("int8", "reading frame or strand of the subject"))
    sstrand: str | None = field(metadata=_column("string", "`plus` or `minus`; null for protein subjects"))
    evalue: float = field(metadata=_column("float64", "E-value"))
    bitscore: float = field(metadata=_column("float64", "bit score"))
    score: int = field(metadata=_column("int32", "raw score"))
    qcovs: int = field(metadata=_column("int32", "part of the query that all HSPs of the subject cover, in percent"))
    qcovhsp: int = field(metadata=_column("int32", "part of the query that this HSP covers, in percent"))
    staxids: str | None = field(metadata=_column("string", "taxonomy ids of the subject, separated by `;`"))
    stitle: str | None = field(metadata=_column("string", "title of the subject"))


@dataclass(frozen=True, slots=True)
class HitPage:
    """A page of the hits that fit: its number from 1, how many pages there are, and hits on all of them."""

    rows: list[Hit]
    total: int
    page: int
    pages: int


_OURS = ("query", "qtitle")
# The first field is a number, so that no row looks like a comment; the last may hold what it likes.
HIT_FIELDS = ("qlen", *(f.name for f in fields(Hit) if f.name not in (*_OURS, "qlen")))
"""The columns that do not come from the query's place in its job, by BLAST+'s names."""


def write_hits_report(source: ReportSource, directory: Path) -> list[Path]:
    """Write the table of a report job."""
    table = directory / "report.parquet"
    with TemporaryDirectory(dir=directory, prefix=".hits-") as name:
        (archive,) = source.archives(Path(name), together=True)
        write_hits(archive, table, source.formatter, (position for position, _ in source.reported))
    return [table]


def write_hits(
    archive: Path, output: Path, formatter: BlastFormatter | None = None, positions: Iterable[int] | None = None
) -> int:
    """Write every hit of a merged archive as a row of a Parquet file, in the archive's order; return how many.

    Queries count from 1, unless their positions are given. The file appears whole or not at all.

    Raises:
        ProgramError: ``blast_formatter`` failed.
        ArchiveError: it printed something else than its tabular format.
    """
    with TemporaryDirectory(dir=output.parent, prefix=".hits-") as directory:
        table = Path(directory) / "table"
        # Format 7 has a comment for every query, and so gives their positions; names may repeat.
        (formatter or BlastFormatter()).run(archive, ["-outfmt", " ".join(("7", *HIT_FIELDS))], table)
        with table.open("rb") as stream:
            return write_hit_rows(_read_rows(stream, count(1) if positions is None else positions), output)


def write_hit_rows(rows: Iterable[list[str]], output: Path) -> int:
    """Write hits as rows of a Parquet file; return how many. The file appears whole or not at all.

    Each has the position and the title of its query, then the values of `HIT_FIELDS`.
    """
    from pyarrow import parquet

    written, left = 0, iter(rows)
    with TemporaryDirectory(dir=output.parent, prefix=".hits-") as directory:
        temporary = Path(directory) / "parquet"
        with parquet.ParquetWriter(temporary, _schema(), compression="zstd") as writer:
            while group := list(islice(left, _ROW_GROUP_ROWS)):
                writer.write_table(_to_table(group))
                written += len(group)
        temporary.replace(output)
    return written


def read_hits(  # noqa: PLR0913 - each is a filter, an order or a page
    source: Path | str | BinaryIO,
    *,
    evalue_max: float | None = None,
    identity_min: float | None = None,
    coverage_min: float | None = None,
    query: int | str | None = None,
    subject: str | None = None,
    sort: HitOrder | None = None,
    page: int = 1,
    page_size: int = 100,
) -> HitPage:
    """Return a page of the hits that fit; only the parts of the file that may hold some are read.

    The file is given by path or as a seekable stream. Identity (``pident``) and coverage of the query by all HSPs of
    the subject (``qcovs``) are in percent. A query goes by its position from 1, or its name (``qseqid``), which several
    may share; a subject by its id (``sseqid``) or accession (``saccver``). Sorted, the best come first, ties by score;
    else hits are in BLAST+'s order. Pages count from 1; one beyond the last is empty.

    Raises:
        InvalidInputError: an argument is out of range; all that are.
    """
    from pyarrow import compute

    _check(sort, page, page_size)
    column = compute.field
    limits = (("evalue", le, evalue_max), ("pident", ge, identity_min), ("qcovs", ge, coverage_min))
    conditions = [compare(column(name), limit) for name, compare, limit in limits if limit is not None]
    if query is not None:
        conditions.append(column("query" if isinstance(query, int) else "qseqid") == query)
    if subject is not None:
        conditions.append((column("sseqid") == subject) | (column("saccver") == subject))
    condition = reduce(and_, conditions) if conditions else None
    fragment = _open(source)
    first = (page - 1) * page_size
    batches = fragment.to_batches(filter=condition, batch_size=_ROW_GROUP_ROWS, batch_readahead=1, use_threads=False)
    table = _first(batches, first + page_size) if sort is None else _best(batches, sort, first + page_size)
    rows = [Hit(**row) for row in table.slice(first).to_pylist()]
    total = fragment.count_rows(filter=condition)
    return HitPage(rows, total, page, -(-total // page_size))


def _check(sort: str | None, page: int, page_size: int) -> None:
    problems = []
    if sort is not None and sort not in get_args(HitOrder):
        problems.append(Problem(f"hits cannot be sorted by {sort!r}: choose {', '.join(get_args(HitOrder))}", "sort"))
    if page < 1:
        problems.append(Problem(f"there is no page {page}: the first is 1", "page"))
    if not 1 <= page_size <= _MAX_PAGE_ROWS:
        problems.append(Problem(f"a page cannot have {page_size} rows: ask for 1 to {_MAX_PAGE_ROWS}", "page_size"))
    if problems:
        raise InvalidInputError(problems)


def _open(source: Path | str | BinaryIO) -> dataset.Fragment:
    from pyarrow import PythonFile, dataset, fs

    if isinstance(source, Path | str):
        return dataset.ParquetFileFormat().make_fragment(str(source), filesystem=fs.LocalFileSystem())
    return dataset.ParquetFileFormat().make_fragment(PythonFile(source, mode="r"))


def _first(batches: Iterable[pa.RecordBatch], count: int) -> pa.Table:
    """Return the first rows; what comes after them is not read."""
    import pyarrow as pa

    found, rows = [], 0
    for batch in batches:
        found.append(batch.slice(0, count - rows))
        rows += found[-1].num_rows
        if rows == count:
            break
    return pa.Table.from_batches(found, _schema())


def _best(batches: Iterable[pa.RecordBatch], sort: str, count: int) -> pa.Table:
    """Return the best rows, best first; never more than these and one batch are held."""
    import pyarrow as pa

    order = [(sort, "ascending" if sort == "evalue" else "descending"), ("score", "descending")]
    best = _schema().empty_table()
    for batch in batches:
        # The sort is stable: rows that tie keep their order in the file.
        best = pa.concat_tables([best, pa.Table.from_batches([batch], _schema())]).sort_by(order).slice(0, count)
    return best


@cache
def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        pa.field(f.name, f.metadata["kind"], "None" in str(f.type), {"meaning": f.metadata["meaning"]})
        for f in fields(Hit)
    )


def _read_rows(stream: BinaryIO, positions: Iterable[int]) -> Iterator[list[str]]:
    """Yield the values of `HIT_FIELDS`, after position and title of their query; of rounds of psiblast the last."""
    position, title, rows, again = 0, "", list[list[str]](), False
    numbers = iter(positions)
    for line in stream:
        if line.startswith(_ROUND):
            again = line != _FIRST_ROUND
        elif line.startswith(_QUERY):
            if not again:
                yield from rows
                position, title = next(numbers), as_text(line[len(_QUERY) : -1])
            rows = []
        elif not line.startswith(b"#"):
            values = as_text(line[:-1]).split("\t", len(HIT_FIELDS) - 1)
            if len(values) != len(HIT_FIELDS):
                raise ArchiveError(f"blast_formatter printed {len(values)} of {len(HIT_FIELDS)} fields: {line[:200]!r}")
            rows.append([str(position), title, *values])
    yield from rows


def _to_table(rows: list[list[str]]) -> pa.Table:
    import pyarrow as pa

    columns = dict(zip((*_OURS, *HIT_FIELDS), zip(*rows, strict=True), strict=True))
    arrays = []
    for column in _schema():
        values = columns[column.name]
        known = [None if value in _UNKNOWN else value for value in values] if column.nullable else values
        arrays.append(pa.array(known, pa.string()).cast(column.type))
    return pa.Table.from_arrays(arrays, schema=_schema())
