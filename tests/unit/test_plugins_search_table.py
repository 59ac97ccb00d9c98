"""The table of a search plugin: what is wrong in it is named, and nothing else is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.options import parse_options
from multiblast.plugins.search_table import NEEDED_COLUMNS
from multiblast.plugins.table_files import read_table
from multiblast.search.plugins import search_plugins

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "tests" / "data" / "plugins" / "odd-search" / "plugin.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('query = "queries"', 'query = "none"', "search.query, line 37: there is no input 'none'"),
        ('hits = "table"', 'hits = "none"', "there is no output 'none'"),
        ('deciding = ["together", "case"]', 'deciding = ["speed"]', "there is no parameter 'speed'"),
        ('keeps_case = "case"', 'keeps_case = "other"', "there is no parameter 'other'"),
        ('qlen = "qlen"\n', "", "columns: qlen must be among them"),
        ('"sseqid", "evalue"]', '"sseqid", "colour"]', "colour is not among the columns"),
        ('marker = "*"', 'marker = "*"\noutput = "table"', "give just one of marker, output and index"),
        ('marker = "*"', 'index = "../../etc/passwd"', "search.no_hits.index"),
        ("{columns.joined}", "{columns.split}", "{columns.split} stands for nothing"),
        ("{database}", "{databases}", "{databases} stands for nothing"),
        ('"{fasta}", "{database}"]', '"{fasta}", "{output}"]', "{output} stands for nothing"),
        ('"{fasta}", "{database}"]', '"{fasta}"]', "{database} does not stand in it"),
        ('molecule = "protein"', 'molecule = "cheese"', "search.molecule"),
        ('query_column = "query"', 'query_column = "query"\nquery_id = "("', "is no regular expression"),
        ('query_column = "query"', 'query_column = "query"\nquery_id = "x"', "needs a group"),
        (
            "[search.database]",
            "[[search.pinned]]\nup_to_letters = 9\nwords = []\n[search.database]",
            "smallest databases",
        ),
        ("[tool]\n", '[parameters.must]\ntype = "text"\npattern = "a"\n\n[tool]\n', "a default for everything"),
        ('type = "search"', 'type = "processing"', "the table search is for plugins of type 'search'"),
    ],
)
def test_fault_is_named(old: str, new: str, why: str) -> None:
    assert old in TABLE
    with pytest.raises(InvalidInputError) as caught:
        read_table(TABLE.replace(old, new, 1), "plugin.toml")
    assert why in str(caught.value)


def test_words_of_searches_are_for_searches_alone() -> None:
    plain = TABLE.partition("[search]")[0].replace('type = "search"', 'type = "processing"')
    with pytest.raises(InvalidInputError, match=r"\{database\} stands for nothing"):
        read_table(plain, "plugin.toml")


def test_pins_follow_the_size_of_the_databases() -> None:
    table = search_plugins()["diamond-blastp"].table
    assert table.pinned_words(1000)[-1] == "1"
    assert table.pinned_words(250_000_001)[-1] == "4"
    assert set(NEEDED_COLUMNS) <= set(table.columns)


def test_options_have_one_spelling_and_defaults_are_part_of_what_decides() -> None:
    options = parse_options("diamond-blastp", ["evalue=1E-3", "max_target_seqs=25", "sensitivity=fast"])
    assert options.changed() == {"sensitivity": "fast"}
    assert options.deciding()["evalue"] == 0.001
    assert parse_options("mmseqs-search", {"sensitivity": "7"}) == parse_options("mmseqs-search", {"sensitivity": 7.0})
    with pytest.raises(InvalidInputError, match=r"sensitivity: .*evalue|sensitivity: 'very' is not one of"):
        parse_options("diamond-blastp", ["sensitivity=very"])


@pytest.mark.parametrize("word", ["--exec=x", "a b", "../x", ""])
def test_no_text_of_a_user_becomes_an_option(word: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_options("diamond-blastp", {"matrix": word})
