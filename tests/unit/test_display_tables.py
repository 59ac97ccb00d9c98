"""Long tables look as those that rich lays out, and are cut where they are wider than the terminal."""

from __future__ import annotations

import pytest

from deployments.command_line import display

COLUMNS = ("target", "letters", "title")
ROWS = [("A/t/db", "5,568", "Twelve proteins"), ("Long/target/name", "12", "日本 title"), ("x", "1", "")]


def test_long_table_looks_as_that_of_rich(capsys: pytest.CaptureFixture[str]) -> None:
    table = display.table_of(*COLUMNS, right={"letters"})
    for row in ROWS:
        table.add_row(*row)
    display.console.print(table)
    expected = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    display.print_long_table(COLUMNS, ROWS, right={"letters"})
    assert capsys.readouterr().out.splitlines() == expected


def test_long_table_cuts_its_last_column_where_it_is_too_wide(capsys: pytest.CaptureFixture[str]) -> None:
    display.print_long_table(COLUMNS, [("A/t/db", "1", "word " * 100)])
    _, row = capsys.readouterr().out.splitlines()
    assert row.endswith("…")
    assert len(row) == display.console.width


def test_long_table_prints_each_row_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    display.print_long_table(COLUMNS, [("A/t/db", "1", "[red]two\nlines\x07[/red]")])
    assert capsys.readouterr().out.splitlines()[1].endswith("[red]two lines[/red]")
