"""What pages of runs show of a query."""

from __future__ import annotations

from multiblast.search import SequenceRow
from tasks.page import table_row

ROW = SequenceRow(
    1, "0" * 32, "key", "secret_name its title", 7, "failed", best_hit="secret_hit", note="killed: secret"
)


def test_table_row_holds_no_word_of_a_private_query() -> None:
    private = table_row(ROW, named=False)
    assert "secret" not in str(private)
    assert (private["note"], private["length"]) == ("killed", 7)
    assert table_row(ROW, named=True)["sequence"] == "secret_name"
