"""What commands of the registry print: reports of transfers, and what is to be removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from deployments.command_line import display
from multiblast.registry.sync.collection import Removal
from multiblast.registry.sync.summary import ItemResult, TransferSummary

_KNOWN_LISTED = 20  # of a transfer: many that are nothing new would hide what is
_STYLES = {
    ItemResult.CONFLICT: "bold red",
    ItemResult.FAILED: "bold red",
    ItemResult.DONE: "green",
    ItemResult.RESTORED: "green",
}


def print_answer(json: bool, plain: Any, text: str) -> None:
    """Print an answer as JSON, or as text."""
    if json:
        display.print_json(plain)
    else:
        display.console.print(text)


def finish(report: TransferSummary, json: bool) -> None:
    """Print a report; end with its exit code."""
    if json:
        display.print_json(report.plain())
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("item", "result", "bytes", "reason"):
            table.add_column(column, justify="right" if column == "bytes" else "left")
        known = report.count(ItemResult.KNOWN)
        listed = [o for o in report.outcomes if o.result != ItemResult.KNOWN or o.reason or known <= _KNOWN_LISTED]
        for one in listed:
            style = _STYLES.get(one.result, "")
            table.add_row(
                escape(one.item),
                f"[{style}]{one.result}[/]" if style else one.result,
                f"{one.size_bytes:,}",
                escape(one.reason),
            )
        display.console.print(table)
        if len(listed) < len(report.outcomes):
            display.console.print(f"{len(report.outcomes) - len(listed):,} more are known and not listed")
        for note in report.notes:
            display.console.print(f"note: {note}", markup=False)
        items, requests = count(len(report.outcomes), "item"), count(report.requests, "request")
        display.console.print(f"{items}, {requests}, {report.seconds:.1f} s")
    raise typer.Exit(report.exit_code)


def remove_confirmed(work: Callable[..., Removal], json: bool, *, dry_run: bool, yes: bool) -> None:
    """Find out what would be removed, and remove it if that is confirmed."""
    done = work(dry_run=True)
    word = "would be removed"
    if not dry_run:
        if not json:
            _list(done)
        if not yes:
            typer.confirm(f"Remove {_counted(done)}?", abort=True, err=True)
        done, word = work(), "removed"
    elif not json:
        _list(done)
    print_answer(json, asdict(done), f"{_counted(done)} {word}, {done.size_bytes:,} bytes")


def _counted(done: Removal) -> str:
    copies = f" and {len(done.copies):,} working copies" if done.copies else ""
    return f"{count(done.rows, 'record')} and {count(len(done.files), 'file')}{copies}"


def count(number: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _list(done: Removal) -> None:
    for line in (*done.items, *(f"file {sha1}" for sha1 in done.files), *done.copies):
        display.console.print(line, markup=False, highlight=False, soft_wrap=True)
    for note in done.notes:
        display.console.print(f"note: {note}", markup=False)
