"""The HTML report holds what BLAST+ found, as data, in one file that trusts nobody."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.errors import ArchiveError
from multiblast.reports.blast_report import write_blast_report
from multiblast.reports.html import write_html
from multiblast.reports.html.archive_reader import Hsp, QueryResult, Subject, read_results
from multiblast.reports.html.page_writer import _write_page
from multiblast.reports.report_options import Formatting
from tests.support.html_reports import write_html_of

_HSP = Hsp(50.0, 120, 1e-9, 9, 9, 1, 10, 1, 9, 1, 10, 0, 0, "MEL-RVGNRY", "MEL RVGNRY", "MELLRVGNRY")
_SUBJECT = Subject("s", "a subject", 10, (), (_HSP,))
# The others need long searches, and differ from these in their coordinates only.
_LONG = ("blastn", "tblastn", "tblastx", "psiblast")
PROGRAMS = ["blastp", "blastx", *(pytest.param(program, marks=pytest.mark.long) for program in _LONG)]
_HARD = "<script>alert(\"x\")</script> & 'it' </title> <!-- data --> $title é"


class _Page(HTMLParser):
    """The parts of a report that tests ask for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._inside = dict(attributes).get("id") or tag

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def data(self, name: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(self.texts[f"{name}-data"])))


@pytest.fixture
def report(merged: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """``report(program, titles=…, title="Report", **facts)``: a report of the demo queries."""

    def make(program: str, titles: list[bytes] | None = None, title: str = "Report", **facts: str) -> Path:
        path = tmp_path / f"{program}.html"
        write_html_of(merged(program, titles or []), path, title=title, **facts)
        return path

    return make


@pytest.mark.parametrize("program", PROGRAMS)
def test_html_holds_the_hits_of_the_tabular_format(
    program: str,
    report: Callable[..., Path],
    merged: Callable[..., Path],
    tabular: Callable[..., list[dict[str, str]]],
) -> None:
    names = "sseqid slen score length nident gaps qstart qend sstart send qcovs qseq sseq"
    page = _Page(report(program))
    shown = []
    for number in range(1, len(page.data("overview")) + 1):
        details = page.data(f"query-{number}")
        rows = zip(details["queryRows"].split("\n"), details["subjectRows"].split("\n"), strict=True)
        for name, _, length, _, coverage, hsps in details["subjects"]:
            for _, score, _, identity, _, gaps, columns, *places, _, _ in hsps:
                values = [name, length, score, columns, identity, gaps, *places, coverage, *next(rows)]
                shown.append(dict(zip(names.split(), map(str, values), strict=True)))
    expected = tabular(merged(program), names)
    # The report shows in lower case what was filtered.
    assert [row | {"qseq": row["qseq"].upper()} for row in shown] == [
        row | {"qseq": row["qseq"].upper()} for row in expected
    ]


def test_html_overview_sums_up_each_query(
    report: Callable[..., Path], merged: Callable[..., Path], tabular: Callable[..., list[dict[str, str]]]
) -> None:
    names = "qseqid qlen sseqid evalue bitscore pident qcovs"
    table = tabular(merged("blastp"), names)
    overview = _Page(report("blastp")).data("overview")
    assert len(overview) == 12
    assert [row[3] for row in overview].count(0) == 1
    for name, _, length, hits, *best in overview:
        of_query = [row for row in table if row["qseqid"] == name]
        assert (
            (str(length), hits) == (of_query[0]["qlen"], len({row["sseqid"] for row in of_query})) if hits else not best
        )
        if hits:
            subject, _, bits, evalue, identity, coverage = best
            assert (subject, str(coverage)) == (of_query[0]["sseqid"], of_query[0]["qcovs"])
            assert bits == pytest.approx(float(of_query[0]["bitscore"]), rel=0.01)
            assert evalue == pytest.approx(float(of_query[0]["evalue"]), rel=0.01, abs=1e-180)
            assert identity == pytest.approx(float(of_query[0]["pident"]), abs=0.051)


def test_html_of_the_same_result_is_the_same_to_the_byte(report: Callable[..., Path]) -> None:
    first = report("blastp", Program="blastp").read_bytes()
    assert report("blastp", Program="blastp").read_bytes() == first


def test_html_loads_nothing(report: Callable[..., Path]) -> None:
    page = _Page(report("blastp"))
    assert [(tag, attributes) for tag, attributes in page.tags if "src" in attributes or "srcset" in attributes] == []
    links = {attributes["href"] for _, attributes in page.tags if "href" in attributes}
    assert links == {"data:,", "#main"}
    assert not re.search(r"@import|url\((?!#)", page.texts["style"])


def test_html_policy_allows_the_one_script_and_the_one_style_only(report: Callable[..., Path]) -> None:
    page = _Page(report("blastp"))
    (policy,) = [a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a]
    digests = {
        name: base64.b64encode(hashlib.sha256(page.texts[name].encode()).digest()).decode()
        for name in ("script", "style")
    }
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; style-src 'sha256-{digests['style']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_html_takes_titles_and_facts_as_text(report: Callable[..., Path], hard_titles: list[bytes]) -> None:
    page = _Page(report("blastp", hard_titles, title=_HARD, **{_HARD: _HARD}))
    assert page.texts["h1"] == page.texts["title"] == page.texts["dt"] == page.texts["dd"] == _HARD
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [a for a in scripts if a.get("type") != "application/octet-stream"] == [{}]
    assert len(scripts) == len(hard_titles) + 2


def test_html_keeps_queries_titles(report: Callable[..., Path], hard_titles: list[bytes]) -> None:
    names = [row[:2] for row in _Page(report("blastp", hard_titles)).data("overview")]
    assert names[0] == ["twin", hard_titles[0].decode().partition(" ")[2]]
    assert names[1:5] == [
        ["twin", "second of the name"],
        ["Query_3", ""],
        ["é", "naïve 中文 <b>bold</b>"],
        ["été", "latin-1"],
    ]
    assert len(names) == len(hard_titles)


def test_html_is_written_whole_or_not_at_all(merged: Callable[..., Path], tmp_path: Path) -> None:
    formatting = Formatting(format="15")
    (printed,) = write_blast_report(merged("blastp"), formatting, program="blastp", queries=12, directory=tmp_path)
    text = printed.read_bytes()
    printed.write_bytes(text[: len(text) // 2])
    directory = tmp_path / "output"
    directory.mkdir()
    with pytest.raises(ArchiveError):
        write_html(printed, directory / "report.html", title="", facts={})
    assert list(directory.iterdir()) == []


@pytest.mark.long
def test_html_is_written_in_memory_that_does_not_grow_with_queries() -> None:
    def peak(queries: int) -> int:
        def results() -> Iterator[QueryResult]:
            for number in range(1, queries + 1):
                yield QueryResult(number, f"q{number}", "a query", 10, "", (_SUBJECT,) * 100)

        with Path("/dev/null").open("wb") as page:
            tracemalloc.start()
            _write_page(page, results(), "", {})
            reached = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return reached

    peak(1)  # what is imported and cached once
    assert peak(500) < 1.5 * peak(5)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1))
def test_html_coverage_counts_each_residue_once(spans: list[tuple[int, int]]) -> None:
    hsps = tuple(_HSP._replace(query_start=start, query_end=end) for start, end in spans)
    subject = replace(_SUBJECT, hsps=hsps)
    covered = {n for start, end in spans for n in range(min(start, end), max(start, end) + 1)}
    percent = QueryResult(1, "q", "", 200, "", (subject,)).coverage_percent(subject)
    assert percent == (int(len(covered) / 2 + 0.5) if len(covered) < 198 else len(covered) // 2)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no JSON\n",
        b'{\n"BlastOutput2": [\n{\n  "report": {\n',
        b'{\n"BlastOutput2": [\n{\n  "report": {}\n}\n]\n}\n',
        b'{\n"BlastOutput2": [\n{\n  "report": {"results": {"search": {"query_len": 3, "hits": [{}]}}}\n}\n]\n}\n',
    ],
)
def test_html_refuses_what_is_not_blasts_json(text: bytes) -> None:
    with pytest.raises(ArchiveError):
        list(read_results(BytesIO(text)))


@pytest.mark.parametrize(
    ("identifier", "accession", "title", "name"),
    [
        ("ref|NP_418414.1|", "NP_418414", "catalase", ("NP_418414.1", "catalase")),
        ("sp|P13029.2|KATG_ECOLI", "P13029", "catalase", ("P13029.2", "catalase")),
        ("pdb|1ABC|A", "1ABC_A", "Chain A", ("1ABC_A", "Chain A")),
        ("gnl|mydb|x7", "x7", "mine", ("x7", "mine")),
        ("gnl|BL_ORD_ID|5", "5", "tr|A0|A0_X some protein", ("tr|A0|A0_X", "some protein")),
        ("gnl|BL_ORD_ID|5", "5", "", ("unnamed", "")),
    ],
)
def test_html_names_subjects_as_tables_do(identifier: str, accession: str, title: str, name: tuple[str, str]) -> None:
    search = {
        "query_len": 10,
        "hits": [{"description": [{"id": identifier, "accession": accession, "title": title}], "len": 9, "hsps": []}],
    }
    text = json.dumps({"report": {"results": {"search": search}}})
    (result,) = read_results(BytesIO(f'{{\n"BlastOutput2": [\n{{\n{text[1:]}\n]\n}}\n'.encode()))
    assert (result.subjects[0].name, result.subjects[0].title) == name
