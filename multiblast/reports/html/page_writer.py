"""Writing the report: a page, and in it each query's data, compressed; columns and headings are in page.js."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from multiblast.files import replacing
from multiblast.reports.html.archive_reader import QueryResult, Subject, read_results

if TYPE_CHECKING:
    from multiblast.reports.writer import ReportSource

_DATA = "<!-- data -->"
_DATA_ELEMENT = b'<script type="application/octet-stream" id="%b-data">%b</script>\n'


def write_html_report(source: ReportSource, directory: Path) -> list[Path]:
    """Write the page of a report job."""
    page = directory / "report.html"
    with TemporaryDirectory(dir=directory, prefix=".html-") as name:
        printed, queries = source.json(Path(name)), source.reported
        write_html(printed, page, title=source.title, facts=source.facts(), queries=queries)
    return [page]


def write_html(
    printed: Path,
    output: Path,
    *,
    title: str,
    facts: Mapping[str, str],
    queries: Iterable[tuple[int, int]] | None = None,
) -> None:
    """Write a page that is one file and needs nothing else, from a report in BLAST+'s format 15.

    The file appears whole or not at all, and the same result gives the same bytes. Below its title stand facts, such as
    ``{"Program": "blastp 2.12.0+"}``. The queries' positions and lengths are those of the report unless they are given:
    where parts were searched, BLAST+ states the lengths of these.

    Raises:
        ArchiveError: the report is not as BLAST+ writes it.
    """
    with printed.open("rb") as stream:
        write_page(read_results(stream, queries), output, title=title, facts=facts)


def write_page(results: Iterable[QueryResult], output: Path, *, title: str, facts: Mapping[str, str]) -> None:
    """Write a page of results, whole or not at all: see `write_html`."""
    with replacing(output) as page:
        _write_page(page, results, title, facts)


def _write_page(page: IO[bytes], results: Iterable[QueryResult], title: str, facts: Mapping[str, str]) -> None:
    style, script = _resource("page.css"), _resource("page.js")
    text = Template(_resource("page.html")).substitute(
        title=escape(title),
        facts="\n".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()),
        style=style,
        style_hash=_source_hash(style),
        script=script,
        script_hash=_source_hash(script),
    )
    before, after = text.split(_DATA)
    page.write(before.encode())
    with TemporaryFile() as spool:
        with gzip.GzipFile(fileobj=spool, mode="wb", mtime=0, filename="") as overview:
            separator = b"["
            for result in results:
                data = _packed(_details(result))
                page.write(_DATA_ELEMENT % (b"query-%d" % result.position, data))
                overview.write(separator + _json(_summary(result)))
                separator = b","
            overview.write(b"]")
        spool.seek(0)
        page.write(b'<script type="application/octet-stream" id="overview-data">\n')
        base64.encode(spool, page)
        page.write(b"</script>\n")
    page.write(after.encode())


def page_data(result: QueryResult) -> tuple[bytes, bytes]:
    """Return what the page's script reads for a single query: the overview's data, and the query's."""
    return _packed([_summary(result)]), _packed(_details(result))


@cache
def page_markup() -> str:
    """Return what the page's script fills: the sections, and the patterns of bars."""
    _, start, rest = _resource("page.html").partition('<section id="overview"')
    sections, _, rest = rest.partition("</main>")
    _, patterns, rest = rest.partition('<svg class="definitions"')
    return start + sections + patterns + rest.partition("</svg>")[0] + "</svg>"


def _packed(value: Any) -> bytes:
    """Return a value as JSON, compressed, as text."""
    # As gzip, without a time. Not by gzip.compress, whose header is another one since Python 3.13.
    return base64.b64encode(zlib.compress(_json(value), 5, wbits=zlib.MAX_WBITS | 16))


def _summary(result: QueryResult) -> list[Any]:
    """Return a row of the overview."""
    row: list[Any] = [result.name, result.title, result.length, len(result.subjects)]
    if result.subjects:
        best = result.subjects[0]
        hsp = best.hsps[0]
        identity = round(100 * hsp.identity / hsp.length, 1)
        row += [best.name, best.title, hsp.bit_score, hsp.evalue, identity, result.coverage_percent(best)]
    return row


def _details(result: QueryResult) -> dict[str, Any]:
    """Return all hits of a query; rows of alignments are kept together by kind, since they compress better so."""
    hsps = [hsp for subject in result.subjects for hsp in subject.hsps]
    return {
        "message": result.message,
        "subjects": [_subject(result, subject) for subject in result.subjects],
        "queryRows": "\n".join(hsp.query_row for hsp in hsps),
        "midlines": "\n".join(hsp.midline for hsp in hsps),
        "subjectRows": "\n".join(hsp.subject_row for hsp in hsps),
    }


def _subject(result: QueryResult, subject: Subject) -> list[Any]:
    hsps = [hsp.numbers for hsp in subject.hsps]
    coverage = result.coverage_percent(subject)
    return [subject.name, subject.title, subject.length, list(subject.others), coverage, hsps]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _resource(name: str) -> str:
    return files("multiblast.reports.html").joinpath(name).read_text("utf-8")


def _source_hash(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline script or style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
