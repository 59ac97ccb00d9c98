"""The table of a search plugin: what is wrong in it is named, and nothing else is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from multiblast.errors import InvalidInputError
from multiblast.options import parse_options
from multiblast.plugins.run_table import Conditional
from multiblast.plugins.search_databases import SearchDatabase
from multiblast.plugins.search_programs import SearchPlugin
from multiblast.plugins.search_table import NEEDED_COLUMNS
from multiblast.plugins.table_files import read_table
from multiblast.search.plugin_context import plugin_keys
from multiblast.search.plugins import search_plugins
from multiblast.targets import BlastDatabase
from tests.support.places import ROOT

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
        *(
            ("[tool]\n", f'[parameters.{name}]\ntype = "flag"\ndefault = true\n\n[tool]\n', "can have this name")
            for name in ("value", "changed", "deciding", "arguments", "declared", "program", "model_dump")
        ),
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


@pytest.mark.parametrize(
    ("program", "key", "directory"),
    [
        ("diamond-blastp", "12be00e8924b4e205b0f5ea8b14679b7", "d166bbab5f2435ffc4fc4f4773dcea9a"),
        ("diamond-blastx", "700ead20fed640c01f68d5c144e8fc81", "d166bbab5f2435ffc4fc4f4773dcea9a"),
        ("mmseqs-search", "21bfc98738e97df11241997c2e3e1725", "6c28e289c7557df141fe4214477c4815"),
    ],
)
def test_keys_of_results_are_pinned(program: str, key: str, directory: str) -> None:
    """A key that changes has all that was searched searched anew."""
    plugin = search_plugins()[program]
    database = cast("BlastDatabase", SimpleNamespace(letters=1000, fingerprint="f" * 32, volumes=()))
    assert plugin_keys(plugin, "1.0", parse_options(program, []), [database]).key(b"MKV") == key
    assert SearchDatabase(plugin, "1.0", (database,), ("f" * 32,)).directory.name == directory


def test_own_files_decide_where_they_are_run() -> None:
    """Even under a condition, or by the Python that is here."""
    assert SearchPlugin.runs_own_files(["odd", "--script={plugin}/odd.py"])
    assert SearchPlugin.runs_own_files(["odd", Conditional(when="parameters.x", words=("{plugin}/odd.py",))])
    assert SearchPlugin.runs_own_files(["python3", "-c", "print()"])
    assert not SearchPlugin.runs_own_files(["diamond", "{database}"])
