"""What pages of runs show of a query."""

from __future__ import annotations

import pytest

from multiblast.search import SequenceRow
from multiblast.sequences.fasta import Record
from tasks.page import table_row
from tasks.runs import unnamed

ROW = SequenceRow(
    1, "0" * 32, "key", "secret_name its title", 7, "failed", best_hit="secret_hit", note="killed: secret"
)


def test_table_row_holds_no_word_of_a_private_query() -> None:
    private = table_row(ROW, named=False)
    assert "secret" not in str(private)
    assert (private["note"], private["length"]) == ("killed", 7)
    assert table_row(ROW, named=True)["sequence"] == "secret_name"


@pytest.mark.parametrize("name", ["secret", "it's secret", 'a "secret"', 'it\'s a "secret" \\ name'])
def test_problem_of_a_private_query_quotes_no_name(name: str) -> None:
    record = Record(name.replace(" ", "_").encode(), 3, 7)
    record.stray = "?"
    record.stray_line = 8
    (problem,) = record.problems()
    assert "secret" in problem.message
    assert unnamed(problem.message).startswith("… has '?': only letters")
    assert unnamed(f"{record.label}, {record.label} and 3 more: it is short") == "…, … and 3 more: it is short"
