"""Reports of what search plugins found: tables as the programs print them, Parquet, and the page; see `plugin_hits`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from multiblast.reports.hits import write_hit_rows
from multiblast.reports.html import write_page
from multiblast.reports.plugin_hits import PluginHits
from multiblast.reports.report_options import Formatting

if TYPE_CHECKING:
    from multiblast.plugins.search_programs import SearchPlugin
    from multiblast.reports.writer import ReportSource

_WITH_COMMENTS, _BY_COMMAS = "7", "10"


def write_plugin_report(source: ReportSource, formatting: Formatting, directory: Path) -> list[Path]:
    """Write a report into a directory.

    Raises:
        InvalidInputError: what the plugin finds has no such report.
    """
    plugin, options = source.context.plugin, source.context.options
    assert plugin is not None  # noqa: S101 - see `ReportSource`
    formatting.check_program(plugin.name)
    output = directory / f"report.{formatting.row.extension}"
    most, matrix = formatting.max_target_sequences or 0, str(options.value("matrix") or "BLOSUM62")
    found = (
        PluginHits(plugin, position, query, archive, matrix, most)
        for position, (query, archive) in enumerate(source.results(), start=1)
    )
    if formatting.format == "html":
        write_page((hits.result() for hits in found), output, title=source.title, facts=source.facts())
    elif formatting.format == "parquet":
        write_hit_rows((row for hits in found for row in hits.standard()), output)
    else:
        with output.open("wb") as file:
            _write_table(found, formatting, source, file)
    return [output]


def _write_table(found: Iterable[PluginHits], formatting: Formatting, source: ReportSource, output: IO[bytes]) -> None:
    plugin = source.context.plugin
    assert plugin is not None  # noqa: S101 - see `ReportSource`
    fields = table_fields(plugin, formatting)
    delimiter = (formatting.delimiter or ("," if formatting.format == _BY_COMMAS else "\t")).encode()
    facts, queries = source.facts(), 0
    for queries, hits in enumerate(found, start=1):  # noqa: B007 - the last one is how many there are
        rows = [delimiter.join(values) + b"\n" for values in hits.table(fields)]
        if formatting.format == _WITH_COMMENTS:
            output.writelines(_comments(facts, hits, fields, len(rows)))
        output.writelines(rows)
    if formatting.format == _WITH_COMMENTS:
        output.write(f"# {plugin.name} processed {queries} queries\n".encode())


def _comments(facts: dict[str, str], hits: PluginHits, fields: Iterable[str], rows: int) -> Iterator[bytes]:
    yield f"# {facts['Program']}\n".encode()
    yield b"# Query: " + hits.query.defline + b"\n"
    yield f"# Database: {facts['Databases']}\n".encode()
    if rows:
        yield f"# Fields: {', '.join(fields)}\n".encode()
    yield f"# {rows} hits found\n".encode()


def table_fields(plugin: SearchPlugin, formatting: Formatting) -> list[str]:
    """Return the columns of a table, each once; ``std`` stands for those that the program prints by itself."""
    named = formatting.fields or ("std",)
    return list(dict.fromkeys(one for name in named for one in (plugin.standard if name == "std" else (name,))))
