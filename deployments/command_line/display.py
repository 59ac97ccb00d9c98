"""What the command line prints: problems, progress, tables."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.control import strip_control_codes
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import OverflowMethod

    from multiblast.search import SearchedJob


class _Output(Console):
    """Standard output, of which a command may have more to do than what is read of it."""

    def on_broken_pipe(self) -> None:
        """Go on unread, as where ``head`` has seen enough: reports may still have to be written."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# Elsewhere than at a terminal nothing gives the width: a table of usual names fits.
console = _Output(highlight=False, width=None if sys.stdout.isatty() else 140, soft_wrap=True)
errors = Console(stderr=True, highlight=False)
_ROWS_SHOWN = 50
_LEAST_WIDTH = 10
_STYLES = {"complete": "green", "failed": "bold red", "cancelled": "yellow", "queued": "dim"}


def say(text: str) -> None:
    """Print what goes on, on standard error: standard output is for what a command answers."""
    errors.print(text, style="dim", soft_wrap=True)  # what is to be typed stays whole


def print_errors(problems: Iterable[object]) -> None:
    """Print problems, one per line, on standard error."""
    for problem in problems:
        errors.print(Text.assemble(("error: ", "bold red"), str(problem)), soft_wrap=True)  # ids and paths stay whole


def only_json(context: typer.Context, wanted: bool) -> bool:
    """Keep standard output for the JSON that was asked for, until the command ends; return the same."""
    console.stderr = wanted
    context.call_on_close(lambda: setattr(console, "stderr", False))
    return wanted


def print_json(value: Any) -> None:
    """Print anything as JSON on standard output."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    sys.stdout.write(json.dumps(plain, default=str, indent=2) + "\n")


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show what is being waited for, on standard error, while the block runs."""
    with errors.status(text):
        yield


@contextmanager
def searching() -> Iterator[None]:
    """Show the progress of the searches of this process, on standard error, while the block runs."""
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from multiblast.search import board

    progress = Progress(
        TextColumn("[bold]searching"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("sequences · {task.fields[reused]} reused · {task.fields[doing]}"),
        TimeRemainingColumn(),
        console=errors,
    )
    bar = progress.add_task("search", total=None, reused=0, doing="")

    def renderable() -> Progress:
        for job_id in board.jobs:
            now = board.get(job_id)
            doing = now.doing or f"{now.letters_per_second:,.0f} letters/s"
            progress.update(bar, total=now.to_search, completed=now.searched, reused=now.reused, doing=doing)
        return progress

    with Live(get_renderable=renderable, console=errors, refresh_per_second=4, transient=True):
        yield


def table_of(*columns: str, right: Collection[str] = (), overflow: OverflowMethod = "ellipsis") -> Table:
    """Return an empty table in the style of all commands, some of its columns aligned on the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow=overflow)
    return table


def print_long_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print a table as `table_of` looks, but for thousands of rows, for each of which that takes half a millisecond.

    Where it is wider than the terminal, the last column is cut.
    """
    lines = [columns, *([" ".join(strip_control_codes(cell).split()) for cell in row] for row in rows)]
    *widths, _last = (max(map(cell_len, column)) for column in zip(*lines, strict=True))
    left = max(_LEAST_WIDTH, console.width - sum(widths) - 2 * len(widths))

    def line(cells: Sequence[str]) -> str:
        padded = [
            " " * (width - cell_len(cell)) + cell if name in right else cell + " " * (width - cell_len(cell))
            for name, cell, width in zip(columns, cells, widths, strict=False)
        ]
        last = cells[-1] if cell_len(cells[-1]) <= left else set_cell_size(cells[-1], left - 1) + "…"
        return "  ".join([*padded, last]).rstrip()

    console.print(Text(line(columns), "bold"))
    console.file.writelines(f"{line(cells)}\n" for cells in lines[1:])


def searched_job(job: SearchedJob) -> None:
    """Print a job: one row per sequence, then a summary."""
    from multiblast.database import JobKind
    from multiblast.jobs import address_of

    columns = ("#", "sequence", "length", "status", "origin", "hits", "best hit", "E-value", "note")
    table = table_of(*columns, right={"#", "length", "hits", "E-value"}, overflow="fold")
    for row in job.rows[:_ROWS_SHOWN]:
        table.add_row(
            str(row.position),
            Text(row.name),
            f"{row.length:,}",
            Text(row.status, _STYLES.get(row.status, "")),
            row.origin,
            f"{row.hits:,}",
            Text(row.best_hit),
            "" if row.evalue is None else f"{row.evalue:.2g}",
            Text(row.note, "dim"),
        )
    console.print(table)
    if job.sequences > _ROWS_SHOWN:
        console.print(f"… and {job.sequences - _ROWS_SHOWN:,} more sequences")
    for warning in job.warnings:
        console.print(Text.assemble(("note: ", "yellow"), warning))
    if job.command:
        console.print(Text.assemble("searched with: ", (shlex.join(job.command), "dim")))
    console.print(_summary(job))
    if address := address_of(JobKind.QUERY, job.job_id):
        console.print("over HTTP:", *(f"{address}/{part}" for part in ("query", "result", "hits")))


def _summary(job: SearchedJob) -> Text:
    text = Text.assemble("job ", (job.job_id, "bold"), " is ", (job.status, _STYLES.get(job.status, "")))
    if job.searched or job.reused:
        noun = "sequence" if job.searched == 1 else "sequences"
        text.append(f": {job.searched:,} {noun} searched, {job.reused:,} reused")
    if job.failed:
        text.append(f", {job.failed:,} failed")
    return text


def print_rows(rows: Sequence[dict[str, Any]], *, json: bool, columns: Sequence[str]) -> None:
    """Print answers as JSON, or some of their fields as a table; those of a nested answer count as theirs."""
    if json:
        print_json(list(rows))
        return
    table = table_of(*columns)
    for row in rows:
        flat = row | {key: text for nested in row.values() if isinstance(nested, dict) for key, text in nested.items()}
        table.add_row(*(Text(str(flat.get(column, ""))) for column in columns))
    console.print(table)
