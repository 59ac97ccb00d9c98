"""The declared options are those of the installed programs: names, types, ranges, choices, defaults, relations.

A new BLAST+ version that differs fails here, option by option.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import pytest

from multiblast.options import EXCLUDED, PROGRAMS, options_for
from multiblast.options.declaration import Form

# Where ours is narrower than the help says, since the program refuses the rest when it runs.
NARROWER = {
    "evalue",
    "threshold",
    "dbsize",
    "word_size",
    "inclusion_ethresh",
    "domain_inclusion_ethresh",
    "pseudocount",
}
NARROWER |= {"gapopen", "gapextend", "min_raw_gapped_score", "num_iterations"}


@dataclass(frozen=True)
class Shown:
    """What a program's help says about one option."""

    kind: str
    default: str | None
    choices: frozenset[str]
    low: str
    high: str
    incompatible: frozenset[str]
    requires: frozenset[str]


def executable(program: str) -> str:
    """Return the program's name here: Debian calls rpsblast rpsblast+."""
    return program if shutil.which(program) else f"{program}+"


@cache
def shown(program: str) -> dict[str, Shown]:
    """Read ``<program> -help``."""
    text = subprocess.run([executable(program), "-help"], check=True, capture_output=True, text=True).stdout
    arguments = text[text.index("OPTIONAL ARGUMENTS") :]
    blocks = re.split(r"^ -(\w+)", arguments, flags=re.MULTILINE)[1:]
    return {name: _block(body) for name, body in zip(blocks[::2], blocks[1::2], strict=True)}


def _block(body: str) -> Shown:
    body = body.split("\n *** ", 1)[0]
    signature = re.match(r"\s*<(.*?)>\n", body, re.DOTALL)
    words = " ".join(signature[1].split()) if signature else ""
    default = re.search(r"Default = `(.*?)'", body)
    return Shown(
        kind=words.split(",")[0],
        default=default[1] if default else None,
        choices=_choices(words),
        low=next(iter(re.findall(r">=?-?[\d.]+|(?<= )\d+(?=\.\.)", words)), ""),
        high=next(iter(re.findall(r"(?:=?<)=?-?[\d.]+|(?<=\.\.)\d+", words)), ""),
        incompatible=_names(body, "Incompatible with:"),
        requires=_names(body, "Requires:"),
    )


def _choices(words: str) -> frozenset[str]:
    ranges = re.search(r"values between: (.*)", words)
    if not ranges:
        return frozenset(re.findall(r"[`']([\w-]+)'", words))
    numbers = [part.split("-") for part in ranges[1].split(", ")]
    return frozenset(str(number) for ends in numbers for number in range(int(ends[0]), int(ends[-1]) + 1))


def _names(body: str, title: str) -> frozenset[str]:
    found = re.search(rf"\* {title}(.*?)(?:\n    \*|\n\n|\Z)", body, re.DOTALL)
    return frozenset(re.findall(r"\w+", found[1])) if found else frozenset()


def schema(program: str, name: str) -> dict[str, Any]:
    """Return the JSON schema of a declared option."""
    field: dict[str, Any] = options_for(program).model_json_schema()["properties"][name]
    return field


ALL = [(program, name) for program in PROGRAMS for name in options_for(program).names()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_declared_and_left_out_are_all_the_program_has(program: str) -> None:
    declared = set(options_for(program).names())
    assert declared.isdisjoint(EXCLUDED)
    assert declared == set(shown(program)) - set(EXCLUDED)


def test_options_left_out_all_exist_somewhere() -> None:
    assert set(EXCLUDED) <= {name for program in PROGRAMS for name in shown(program)}


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_have_the_type_in_the_help(program: str, name: str) -> None:
    kind, ours = shown(program)[name].kind, schema(program, name)
    form = options_for(program).option(name).form
    expected = {
        "": ("boolean", Form.FLAG),
        "Integer": ("integer", Form.VALUE),
        "Int8": ("integer", Form.VALUE),
        "Real": ("number", Form.VALUE),
        "Boolean": ("string" if name == "sum_stats" else "boolean", Form.VALUE),
        "String": ("string", Form.NAMED if name in {"rpsdb", "index_name"} else Form.VALUE),
        "File_In": ("string", Form.NAMED),
        "File_Out": ("boolean", Form.NAMED),
    }
    assert (ours["type"], form) == expected[kind]


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_have_the_choices_in_the_help(program: str, name: str) -> None:
    choices = shown(program)[name].choices
    if choices:
        assert {str(choice) for choice in schema(program, name)["enum"]} == choices


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_have_the_range_in_the_help(program: str, name: str) -> None:
    help_says, ours = shown(program)[name], schema(program, name)
    low = f">{ours['exclusiveMinimum']}" if "exclusiveMinimum" in ours else f">={ours.get('minimum', '')}"
    high = f"<{ours['exclusiveMaximum']}" if "exclusiveMaximum" in ours else f"=<{ours.get('maximum', '')}"
    if help_says.low and name != "threshold":
        assert low in {help_says.low, f">={help_says.low}"}
    elif ours.get("type") in {"integer", "number"} and "enum" not in ours and name not in NARROWER:
        assert low == (">=-32767" if name == "penalty" else ">=0" if name == "reward" else ">=")
    if help_says.high:
        assert high in {help_says.high, help_says.high.replace("<=", "=<"), f"=<{help_says.high}"}


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_have_the_default_in_the_help(program: str, name: str) -> None:
    default = shown(program)[name].default
    if default is not None:
        field = options_for(program).model_fields[name]
        given = options_for(program).model_validate({name: default})
        assert getattr(given, name) == field.default


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_exclude_what_the_help_says(program: str, name: str) -> None:
    model = options_for(program)
    theirs = {other for other in shown(program)[name].incompatible if other in model.names()}
    theirs |= {other for other in model.names() if name in shown(program)[other].incompatible}
    ours = {other for other in model.option(name).excludes if other in model.names()}
    ours |= {other for other in model.names() if name in model.option(other).excludes}
    assert ours == theirs


@pytest.mark.parametrize(("program", "name"), ALL)
def test_options_require_what_the_help_says(program: str, name: str) -> None:
    model = options_for(program)
    # The help forgets that an index name is of use only with an index.
    ours = set(model.option(name).requires) - {"use_index"}
    assert ours == shown(program)[name].requires


def test_options_tasks_are_known_choices() -> None:
    for program in PROGRAMS:
        model = options_for(program)
        assert model.preset() in model.task_names()
        assert set(model.task_names()) == set(
            get_args(model.model_fields.get("task", model.model_fields["program"]).annotation)
        )
