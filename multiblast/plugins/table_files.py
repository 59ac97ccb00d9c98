"""Reading plugins' tables: from a ``plugin.toml``, or from the metadata block of a Python script (PEP 723)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from multiblast.errors import InvalidInputError, Problem
from multiblast.plugins.description import Description
from multiblast.plugins.table_problems import table_problems

TABLE_FILE = "plugin.toml"


def read_table(text: str, where: str) -> Description:
    """Read a ``plugin.toml``; ``where`` is what errors call it.

    Raises:
        InvalidInputError: with every problem, by key and line.
    """
    return _read(_toml(text, where), text, where, prefix="")


def read_script(text: str, where: str) -> Description:
    """Read the table in a script's metadata block (PEP 723); its run is the script itself, if it says nothing else.

    Raises:
        InvalidInputError: there is none, or something is wrong in it.
    """
    first, block = _block(text, where)
    table = _toml(block, where)
    plugin = table.get("tool", {}).get("multiblast", {}).get("plugin")
    if not isinstance(plugin, dict):
        raise InvalidInputError(Problem("its metadata block has no table [tool.multiblast.plugin]", where))
    name = where.rpartition("/")[2]
    plugin.setdefault("run", {})
    if isinstance(plugin["run"], dict) and not plugin["run"].get("command"):
        plugin["run"].setdefault("script", name)
    return _read(plugin, block, where, prefix="tool.multiblast.plugin.", first_line=first)


def script_metadata(text: str, where: str) -> dict[str, Any]:
    """Return what the metadata block of a script says (PEP 723); nothing, if it has none.

    Raises:
        InvalidInputError: it has several, or it is no TOML.
    """
    return _toml(_block(text, where)[1], where) if re.search(r"(?m)^# /// script$", text) else {}


def has_table(text: str) -> bool:
    """Return whether a script has a plugin's table, well-formed or not."""
    return bool(re.search(r"(?m)^# \[tool\.multiblast\.plugin", text))


def _block(text: str, where: str) -> tuple[int, str]:
    found = list(re.finditer(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", text))
    if len(found) != 1:
        wrong = "has no metadata block that begins with # /// script" if not found else "has several metadata blocks"
        raise InvalidInputError(Problem(f"it {wrong}, as PEP 723 wants one", where))
    lines = found[0]["content"].splitlines()
    content = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    return text[: found[0].start()].count("\n") + 1, content


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise InvalidInputError(
            Problem(f"this is no TOML: {error}", where, line=int(line[1]) if line else 0)
        ) from error


def _read(table: Mapping[str, Any], text: str, where: str, *, prefix: str, first_line: int = 0) -> Description:
    try:
        return Description.model_validate(table)
    except ValidationError as error:
        problems = table_problems(error, Description, table, text, where, prefix)
        raise InvalidInputError(
            replace(problem, line=problem.line + first_line) if problem.line else problem for problem in problems
        ) from error
