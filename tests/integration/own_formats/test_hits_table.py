"""Hits as Parquet say what BLAST+'s tabular format says, and can be asked."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from multiblast.errors import InvalidInputError, ProgramError
from multiblast.reports import hits as hits_module
from multiblast.reports.hits import Hit, read_hits, write_hits

_DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "hits.md"
_OURS = {"query", "qtitle"}


@pytest.fixture(scope="module")
def table(merged: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hits of the demo proteins, a few rows a group."""
    path = tmp_path_factory.mktemp("hits") / "hits.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hits_module, "_ROW_GROUP_ROWS", 50)
        write_hits(merged("blastp"), path)
    return path


@pytest.fixture(scope="module")
def every_hit(table: Path) -> list[Hit]:
    return read_hits(table, page_size=10_000).rows


@pytest.mark.parametrize(
    "program", ["blastp", "blastn", "blastx", "tblastn", "psiblast", pytest.param("tblastx", marks=pytest.mark.long)]
)
def test_hits_are_those_of_the_tabular_format(
    program: str, merged: Callable[..., Path], tabular: Callable[..., list[dict[str, str]]], tmp_path: Path
) -> None:
    archive, output = merged(program), tmp_path / "hits.parquet"
    names = [field.name for field in fields(Hit) if field.name not in _OURS]
    expected = tabular(archive, " ".join(names))
    assert write_hits(archive, output) == len(expected) > 0
    columns = parquet.read_table(output).to_pydict()
    for field in fields(Hit):
        if field.name in _OURS:
            continue
        kind = {"int": int, "float": float}.get(str(field.type), str)
        unknown = {"N/A", "0"} if "None" in str(field.type) else set()
        wanted = [None if row[field.name] in unknown else kind(row[field.name]) for row in expected]
        assert columns[field.name] == wanted, field.name


def test_hits_tell_queries_of_one_name_apart(
    merged: Callable[..., Path], hard_titles: list[bytes], tmp_path: Path
) -> None:
    write_hits(merged("blastp", hard_titles), tmp_path / "hits.parquet")
    rows = read_hits(tmp_path / "hits.parquet", query="twin", page_size=10_000).rows
    assert {(row.query, row.qtitle) for row in rows} == {(n, hard_titles[n - 1].decode()) for n in (1, 2)}


def test_hits_keep_titles_as_they_are(merged: Callable[..., Path], hard_titles: list[bytes], tmp_path: Path) -> None:
    write_hits(merged("blastp", hard_titles), tmp_path / "hits.parquet")
    rows = read_hits(tmp_path / "hits.parquet", page_size=10_000).rows
    names = {row.query: (row.qseqid, row.qtitle) for row in rows}
    assert names[3] == ("Query_3", "")
    assert names[4] == ("é", "é naïve 中文 <b>bold</b>")
    assert names[5] == ("été", "été latin-1")
    assert names[6] == ("#", "# Query: pretender")


def test_hits_of_a_job_without_any_are_an_empty_table(merged: Callable[..., Path], table: Path, tmp_path: Path) -> None:
    queries = merged("blastp").read_bytes().split(b"Blast4-archive ::= ")
    without = tmp_path / "none.asn1"
    without.write_bytes(b"Blast4-archive ::= " + queries[11])
    assert write_hits(without, tmp_path / "hits.parquet") == 0
    page = read_hits(tmp_path / "hits.parquet", sort="evalue")
    assert (page.rows, page.total, page.pages) == ([], 0, 0)
    assert parquet.read_schema(tmp_path / "hits.parquet") == parquet.read_schema(table)


def test_hits_are_written_whole_or_not_at_all(merged: Callable[..., Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.asn1"
    broken.write_bytes(merged("blastp").read_bytes().replace(b"proteins", b"nowhere!"))
    directory = tmp_path / "output"
    directory.mkdir()
    with pytest.raises(ProgramError):
        write_hits(broken, directory / "hits.parquet")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"evalue_max": 1e-50}, lambda hit: hit.evalue <= 1e-50),
        ({"evalue_max": 0.0}, lambda hit: hit.evalue == 0),
        ({"identity_min": 90}, lambda hit: hit.pident >= 90),
        ({"coverage_min": 99}, lambda hit: hit.qcovs >= 99),
        ({"query": 4}, lambda hit: hit.query == 4),
        ({"query": "sp|Q9JKA9|HCN2_RAT"}, lambda hit: hit.qseqid == "sp|Q9JKA9|HCN2_RAT"),
        ({"subject": "sp|Q9JKA9|HCN2_RAT"}, lambda hit: hit.sseqid == "sp|Q9JKA9|HCN2_RAT"),
        (
            {"evalue_max": 1e-20, "identity_min": 40, "query": 2},
            lambda hit: (hit.evalue <= 1e-20, hit.pident >= 40, hit.query) == (True, True, 2),
        ),
    ],
)
def test_hits_are_filtered(
    asked: dict[str, Any], fits: Callable[[Hit], bool], table: Path, every_hit: list[Hit]
) -> None:
    wanted = [hit for hit in every_hit if fits(hit)]
    assert 0 < len(wanted) < len(every_hit)
    page = read_hits(table, **asked, page_size=10_000)
    assert page.rows == wanted
    assert page.total == len(wanted)


@pytest.mark.parametrize("sort", ["evalue", "bitscore", "pident", "qcovs", "length"])
def test_hits_are_sorted_best_first(sort: Any, table: Path, every_hit: list[Hit]) -> None:
    sign = 1 if sort == "evalue" else -1
    wanted = sorted(every_hit, key=lambda hit: (sign * getattr(hit, sort), -hit.score))
    assert read_hits(table, sort=sort, page_size=10_000).rows == wanted


@pytest.mark.parametrize("sort", [None, "pident"])
def test_hits_pages_join_to_the_whole(sort: Any, table: Path, every_hit: list[Hit]) -> None:
    whole = read_hits(table, sort=sort, page_size=10_000).rows
    first = read_hits(table, sort=sort, page_size=150)
    pages = [first, *(read_hits(table, sort=sort, page=n, page_size=150) for n in range(2, first.pages + 1))]
    assert [hit for page in pages for hit in page.rows] == whole
    assert {page.total for page in pages} == {len(every_hit)}
    assert [page.page for page in pages] == list(range(1, first.pages + 1))


def test_hits_page_beyond_the_last_is_empty(table: Path, every_hit: list[Hit]) -> None:
    page = read_hits(table, page=1000)
    assert (page.rows, page.total) == ([], len(every_hit))


class _Counting(io.FileIO):
    bytes_read = 0

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.bytes_read += count
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_hits_of_one_query_read_only_their_part_of_a_stream(table: Path, every_hit: list[Hit]) -> None:
    def bytes_for(query: int | None) -> int:
        with _Counting(table) as stream:
            rows = read_hits(stream, query=query, page_size=10_000).rows
            assert rows == [hit for hit in every_hit if query in (None, hit.query)]
            return stream.bytes_read

    directory = bytes_for(999)  # which part holds what
    assert 0 < bytes_for(9) - directory < (bytes_for(None) - directory) / 4


def test_hits_request_names_all_its_problems(table: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_hits(table, sort="colour", page=0, page_size=0)  # type: ignore[arg-type]  # what the test is about
    assert list(caught.value.by_key) == ["sort", "page", "page_size"]


def test_hits_columns_are_all_documented_as_they_are(table: Path) -> None:
    types = {"int8": "int8", "int32": "int32", "double": "float64", "string": "string"}
    written = [
        f"| `{column.name}` | {types[str(column.type)]} | {column.metadata[b'meaning'].decode()} |"
        for column in parquet.read_schema(table)
    ]
    lines = _DOCUMENT.read_text().splitlines()
    assert [line for line in lines if line.startswith("| `") and line in written] == written
