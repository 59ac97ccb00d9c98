"""What a plugin job made, as its page shows it: pictures, the beginnings of texts and tables, links to all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from multiblast.accounts import Requester
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.errors import MultiblastError
from multiblast.plugins.kinds import matches
from web.pages.next_steps import IMAGES, file_address

_MOST_SHOWN = 12
_SHOWN_BYTES = 16 << 10
_LINES, _LINE = 40, 400
_ROWS, _COLUMNS, _CELL = 20, 12, 120
_TABLES = {"text/tab-separated-values": "\t", "text/csv": ","}
_TEXTS = ("text/*", "application/json", "application/x-ndjson", "application/xml")


@dataclass(frozen=True, slots=True)
class Output:
    """A file or directory that a job made.

    Attributes:
        label: What the plugin's table calls it.
        picture: The address of the picture that it is; empty if it is none.
        page: The address of the page that it is.
        text: Its beginning, if it is a text.
        rows: Its first rows, if it is a table; the first of them has the names of the columns, if it has any.
        cut: Whether there is more of it.
    """

    name: str
    port: str
    label: str
    size: int
    data: str
    content: str
    directory: bool
    address: str = ""
    picture: str = ""
    page: str = ""
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    cut: bool = False


def shown_outputs(jobs: PluginJobs, who: Requester, job_id: str, labels: Mapping[str, str]) -> list[Output]:
    """Return what a complete job made, of the first of it with as much as can be seen at a glance.

    Args:
        jobs: The door.
        who: Who looks.
        job_id: The job.
        labels: What the plugin's table calls its outputs.
    """
    found = []
    for number, one in enumerate(jobs.files(who, job_id), 1):
        facts = (one.name, one.port, labels.get(one.port) or one.port, one.size, one.data_type, one.content_type)
        if one.directory:
            found.append(Output(*facts, directory=True, address=file_address(job_id, one.name)))
            continue
        address = file_address(job_id, one.name, shown=True)
        output = Output(*facts, directory=False, address=file_address(job_id, one.name))
        if one.content_type in IMAGES:
            output = replace(output, picture=address)
        elif one.content_type == "text/html":
            output = replace(output, page=address)
        elif number <= _MOST_SHOWN and any(matches(one.content_type, kind) for kind in _TEXTS):
            output = _with_text(output, jobs, who, job_id)
        found.append(output)
    return sorted(found, key=lambda one: not one.picture)  # pictures first


def _with_text(output: Output, jobs: PluginJobs, who: Requester, job_id: str) -> Output:
    try:
        with jobs.file(who, job_id, output.name) as stream:
            read = stream.read(_SHOWN_BYTES + 1)
    except MultiblastError:  # storage verification finds it
        return output
    text = read[:_SHOWN_BYTES].decode(errors="replace")
    cut = len(read) > _SHOWN_BYTES
    if (delimiter := _TABLES.get(output.content)) is not None:
        lines = text.splitlines()[: _ROWS + 2]
        rows = [[cell[:_CELL] for cell in row[:_COLUMNS]] for row in _read(lines[: _ROWS + 1], delimiter)]
        return replace(output, rows=rows, cut=cut or len(lines) > _ROWS + 1)
    lines = text.splitlines()
    shown = [line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in lines[:_LINES]]
    return replace(output, text="\n".join(shown), cut=cut or shown != lines)


def _read(lines: list[str], delimiter: str) -> list[list[str]]:
    if delimiter == "\t":
        return [line.split("\t") for line in lines]
    try:
        return list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:
        return [line.split(delimiter) for line in lines]
