"""What is said to the author of a table: the key, its line, and what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.plugins.events import Events
from multiblast.plugins.failure import PluginError
from multiblast.plugins.table_files import read_script, read_table

TABLE = """name = "x"
version = "1.0"
title = "T"
[inputs.a]
data = "sequences/protein"
content = ["text/x-fasta"]
[outputs.o]
data = "tree"
content = "text/x-newick"
[run]
command = ["cat", "{inputs.a}"]
stdout = "o"
"""
MISTAKES = [
    ("stdout", "stdot", "run.stdot, line 12: there is no such key: did you mean stdout?"),
    ("stdout", "colour", "run.colour, line 12: there is no such key; there is command, script, stdout, "),
    ('name = "x"\n', "", "name: this is needed"),
    ('"x"', '"My_X"', "name, line 1: 'My_X' is not allowed: write small letters and digits"),
    ('"1.0"', "1.0", "version, line 2: write a text, in quotes"),
    ('["text/x-fasta"]', '"text/x-fasta"', "inputs.a.content, line 6: write a list"),
    ('"sequences/protein"', '"Proteins"', "inputs.a.data, line 5: 'Proteins' is not allowed: write words of small"),
    ('["cat", "{inputs.a}"]', '"cat"', "run.command, line 11: write a list"),
    ("{inputs.a}", "{input.a}", "run.command, line 11: {input.a} stands for nothing: use inputs.NAME"),
    ("{inputs.a}", "{inputs.b}", "run.command, line 11: there is no inputs.b; there is inputs.a"),
    ('"cat",', '1, "cat",', "run.command.0, line 11: write a text, or { when = …, words = […] }"),
    ('"cat",', '{when = "inputs.a", if = 1, words = []},', "run.command.0.if, line 11: there is no such key"),
    ('"cat",', '{when = "a", words = []},', "run.command.0, line 11: 'a' is no condition"),
    ("inputs.a]", "inputs.a-b]", "inputs.a-b.[key], line 4: 'a-b' is not allowed: use letters, digits and _"),
    ('stdout = "o"', 'stdout = "outputs/o"', "run.stdout, line 12: there is no output 'outputs/o'"),
    ("[run]", "[parameters.p]\ntype = 'string'\n[run]", "parameters.p.type, line 11: 'string' is not among 'text'"),
    ("[run]", "[parameters.p]\ndefault = []\n[run]", "parameters.p.default, line 11: no such value is allowed here"),
    ("[run]", "[parameters.p]\ntype = 'choice'\n[run]", "parameters.p, line 10: a choice needs choices"),
    ("[run]", "[text.German]\n[run]", "'German' is not allowed: write the code of a language: de"),
    ("[run]", "[run]\ntimeout_s = 0", "run.timeout_s, line 11: it has to be greater than 0"),
]


@pytest.mark.parametrize(("right", "wrong", "said"), MISTAKES, ids=[said.split(":")[0] for *_, said in MISTAKES])
def test_mistake_in_a_table_is_named_by_key_and_line(right: str, wrong: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_table(TABLE.replace(right, wrong, 1), "plugin.toml")
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert str(problem).startswith("plugin.toml: ")


def test_every_mistake_is_named_at_once() -> None:
    text = TABLE.replace("{inputs.a}", "{inputs.b}").replace('stdout = "o"', 'stdout = "p"')
    with pytest.raises(InvalidInputError) as caught:
        read_table(text, "plugin.toml")
    assert [problem.line for problem in caught.value.problems] == [11, 12]


def test_mistake_in_a_script_has_the_line_of_the_script() -> None:
    text = '#!/usr/bin/python3\n# /// script\n# [tool.multiblast.plugin]\n# name = "x"\n# verson = "1"\n# ///\n'
    with pytest.raises(InvalidInputError) as caught:
        read_script(text, "x.py")
    assert "x.py: verson, line 5: there is no such key: did you mean version?" in map(str, caught.value.problems)


def test_mistake_in_a_form_is_said_in_the_same_words(tmp_path: Path) -> None:
    ask = {"ask": {"step": "s", "title": "?", "parameters": {"p": {"type": "text", "least": "x"}}}}
    with Events("one@1.0", tmp_path) as events:
        events.path.write_text(json.dumps(ask) + "\n")
        with pytest.raises(PluginError, match=r"parameters\.p\.least: write a number"):
            events.finish()
