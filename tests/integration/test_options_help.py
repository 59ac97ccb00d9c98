"""The declared options are those of the installed programs, as their own ``-help`` describes them.

A new BLAST+ version that differs fails here, option by option.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from multiblast.installation import Installation
from multiblast.options import EXCLUDED, EXCLUDED_OF, PROGRAMS, options_for
from multiblast.options.option import Form

# Type in the help: type in our schema, and how it is written on the command line.
KINDS = {
    "": ("boolean", Form.FLAG),
    "Integer": ("integer", Form.VALUE),
    "Int8": ("integer", Form.VALUE),
    "Real": ("number", Form.VALUE),
    "Boolean": ("boolean", Form.VALUE),
    "String": ("string", Form.VALUE),
    "File_In": ("string", Form.NAMED),
    "File_Out": ("boolean", Form.NAMED),
}
# Ours differ: a choice that may be unset; names of registered things that become paths.
OTHER_KINDS = {
    "sum_stats": ("string", Form.VALUE),
    "rpsdb": ("string", Form.NAMED),
    "index_name": ("string", Form.NAMED),
}
# Where ours is narrower than the help says, since the program refuses the rest when it runs.
NARROWER = {
    "dbsize": (">=0", ""),
    "domain_inclusion_ethresh": (">=0", ""),
    "evalue": (">0", ""),
    "gapextend": (">=0", "<=32767"),
    "gapopen": (">=0", "<=32767"),
    "inclusion_ethresh": (">=0", ""),
    "num_iterations": (">=0", "<=1000"),
    "penalty": (">=-32767", "<=0"),
    "pseudocount": (">=0", ""),
    "reward": (">=0", "<=32767"),
    "threshold": (">0", ""),
    ("blastp", "word_size"): (">=2", "<=7"),
    ("blastx", "word_size"): (">=2", "<=7"),
    ("tblastn", "word_size"): (">=2", "<=7"),
    ("tblastx", "word_size"): (">=2", "<=5"),
    ("psiblast", "word_size"): (">=2", "<=5"),
    ("deltablast", "word_size"): (">=2", "<=5"),
}
# What the help does not list.
_MATRICES = frozenset({"BLOSUM45", "BLOSUM50", "BLOSUM62", "BLOSUM80", "BLOSUM90", "PAM30", "PAM70", "PAM250"})
UNLISTED_CHOICES = {
    "sum_stats": frozenset({"true", "false"}),
    ("blastp", "matrix"): _MATRICES | {"IDENTITY"},
    ("tblastn", "matrix"): _MATRICES | {"IDENTITY"},
    ("blastx", "matrix"): _MATRICES,
    ("tblastx", "matrix"): _MATRICES | {"IDENTITY"},
    ("psiblast", "matrix"): _MATRICES,
    ("deltablast", "matrix"): _MATRICES,
}
# The help forgets that an index name is of use only with an index.
ALSO_REQUIRED = {"index_name": frozenset({"use_index"})}
# The ends of the types' own ranges limit nothing.
NO_LIMIT = {f"{sign}{number}" for sign in (">=", "<=") for number in (-(2**31), 2**31 - 1, 2**63 - 1)}


@dataclass(frozen=True)
class Facts:
    """What can be said of one option of one program."""

    kind: tuple[str, Form]
    choices: frozenset[str]
    limits: tuple[str, str]
    default: Any
    excludes: frozenset[str]
    requires: frozenset[str]


@cache
def help_of(program: str) -> dict[str, str]:
    """Return what ``<program> -help`` says of each option."""
    text = subprocess.run([Installation().program(program), "-help"], check=True, capture_output=True, text=True).stdout
    arguments = text[text.index("OPTIONAL ARGUMENTS") :]
    blocks = re.split(r"^ -(\w+)", arguments, flags=re.MULTILINE)[1:]
    return {name: body.split("\n *** ", 1)[0] for name, body in zip(blocks[::2], blocks[1::2], strict=True)}


def names(program: str) -> list[str]:
    """Return the declared options that the installed version should have."""
    version = Installation().version(program)
    return [name for name, option in options_for(program).declared.items() if option.is_in(program, version)]


def shown(program: str, name: str) -> Facts:
    """Return what the help says of an option."""
    body = help_of(program)[name]
    signature = re.match(r"\s*<(.*?)>\n", body, re.DOTALL)
    words = " ".join(signature[1].split()) if signature else ""
    default = re.search(r"Default = (?:[`'](.*?)'|([\d.]+))", body)
    model = options_for(program)
    excludes = _names(body, "Incompatible with:")
    excludes |= {other for other in names(program) if name in _names(help_of(program)[other], "Incompatible with:")}
    return Facts(
        kind=OTHER_KINDS.get(name, KINDS[words.split(",")[0]]),
        choices=UNLISTED_CHOICES.get(name) or UNLISTED_CHOICES.get((program, name)) or _choices(words, body),
        limits=NARROWER.get(name, NARROWER.get((program, name), _limits(words))),
        default=getattr(model.model_validate({name: default[1] or default[2]}), name) or None if default else None,
        excludes=excludes & set(model.declared),
        requires=_names(body, "Requires:") | ALSO_REQUIRED.get(name, frozenset()),
    )


def _limits(words: str) -> tuple[str, str]:
    if match := re.search(r"(\d+)\.\.(\d+)", words):
        return f">={match[1]}", f"<={match[2]}"
    low = re.search(r">=?-?[\d.]+", words)
    high = re.search(r"(=?<=?)(-?[\d.]+)", words)
    return low[0] if low else "", high[0].replace("=<", "<=") if high else ""


def _choices(words: str, body: str) -> frozenset[str]:
    if modes := re.findall(r"^ {7}([0-3])(?: or|:)", body, re.MULTILINE):
        return frozenset(modes)
    ranges = re.search(r"values between: (.*)", words)
    if not ranges:
        return frozenset(re.findall(r"[`']([\w-]+)'", words))
    numbers = [part.split("-") for part in ranges[1].split(", ")]
    return frozenset(str(number) for ends in numbers for number in range(int(ends[0]), int(ends[-1]) + 1))


def _names(body: str, title: str) -> frozenset[str]:
    found = re.search(rf"\* {title}(.*?)(?:\n    \*|\n\n|\Z)", body, re.DOTALL)
    return frozenset(re.findall(r"\w+", found[1])) if found else frozenset()


def declared(program: str, name: str) -> Facts:
    """Return what our declaration says of an option."""
    model = options_for(program)
    option = model.declared[name]
    schema = model.model_json_schema()["properties"][name]
    low = _limit(schema, {"minimum": ">=", "exclusiveMinimum": ">"})
    high = _limit(schema, {"maximum": "<=", "exclusiveMaximum": "<"})
    excludes = {*option.excludes, *(other for other in model.declared if name in model.declared[other].excludes)}
    return Facts(
        kind=(schema["type"], option.form),
        choices=frozenset(map(str, schema.get("enum", ()))),
        limits=(low, high),
        # Where the help names no default, ours says that nothing is limited or switched on.
        # Of two, tasks for short queries may have another, which the help does not name.
        default=model.defaults().get(name) if name in {"dust", "evalue"} else model.model_fields[name].default or None,
        excludes=frozenset(excludes & set(model.declared)),
        requires=frozenset(option.requires),
    )


def _limit(schema: dict[str, Any], signs: dict[str, str]) -> str:
    limit = next((f"{sign}{schema[key]}" for key, sign in signs.items() if key in schema), "")
    return "" if limit in NO_LIMIT else limit


@pytest.mark.parametrize("program", PROGRAMS)
def test_options_declared_and_left_out_are_all_the_program_has(program: str) -> None:
    excluded = {*EXCLUDED, *EXCLUDED_OF.get(program, ())}
    assert set(names(program)).isdisjoint(excluded)
    assert set(names(program)) == set(help_of(program)) - excluded


def test_options_left_out_all_exist_somewhere() -> None:
    assert set(EXCLUDED) <= {name for program in PROGRAMS for name in help_of(program)}


@pytest.mark.parametrize(("program", "name"), [(program, name) for program in PROGRAMS for name in names(program)])
def test_options_are_declared_as_the_help_describes_them(program: str, name: str) -> None:
    assert declared(program, name) == shown(program, name)
