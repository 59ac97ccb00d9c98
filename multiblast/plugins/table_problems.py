"""What is wrong in a plugin's table, in words for its author: by key and line, with what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from multiblast.errors import Problem

_SAID = {
    "missing": "this is needed",
    "tuple_type": 'write a list, such as ["…"]',
    "string_type": "write a text, in quotes",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "model_type": "write a table",
    "mapping_type": "write a table",
}
_FORMS = {
    "name": "write small letters and digits, with single hyphens between: hit-sequences",
    "version": "begin with a digit: 1.2.0",
    "tags": "write small letters, digits, dots and hyphens: multiple-alignment",
    "data": "write words of small letters, with a slash between two: sequences/protein",
    "content": "write a media type: text/x-fasta",
    "script": "name a Python script beside the table: run.py",
    "edam": "write it as format_1929",
    "debian": "write the name of a package of Debian",
    "queue": "write letters, digits, dots, hyphens and _",
    "every": "write a period of days, hours or minutes: P1D, PT12H, PT30M",
    "migrations": "name a directory beside the table: migrations",
    "href": "begin with https:// or http://",
}
_KEY = "use letters, digits and _, and begin with a letter"
_LANGUAGE = "write the code of a language: de"
_UNION = re.compile(r"(str|bool|int|float|tuple\[.*|function-.*)")


class UnfittingKeysError(ValueError):
    """What does not fit together in a table.

    Attributes:
        problems: Keys, each with what is wrong.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def table_problems(  # noqa: PLR0913, PLR0917 - the facts of a table
    error: ValidationError, model: type[BaseModel], table: Mapping[str, Any], text: str, where: str, prefix: str = ""
) -> list[Problem]:
    """Return what is wrong.

    Args:
        error: What a model says of a table.
        model: The model.
        table: The table.
        text: The TOML that it was read from.
        where: What that is called.
        prefix: Of the headings in the text, as far as they are not the model's.
    """
    found: dict[tuple[str, str], Problem] = {}
    for key, message in _plain(error, model, table):
        line = line_of(text, [*prefix.split("."), *key.split(".")])
        problem = Problem(message, f"{where}: {key}" if key else where, line=line)
        found.setdefault((key, message), problem)
    return list(found.values())


def plain_message(one: Any) -> str:
    """Return what pydantic says of a value, in words for the author of a table."""
    last = next((str(part) for part in reversed(one["loc"]) if not isinstance(part, int)), "")
    if one["type"] == "string_pattern_mismatch":
        kind = _LANGUAGE if one["loc"][0] == "text" else _KEY
        form = kind if last == "[key]" else _FORMS.get(last, f"it has to match {one['ctx']['pattern']}")
        return f"{one['input']!r} is not allowed: {form}"
    if one["type"] == "string_too_long":
        return f"write at most {one['ctx']['max_length']} characters"
    if one["type"] == "literal_error":
        return f"{one['input']!r} is not among {one['ctx']['expected']}"
    message: str = _SAID.get(one["type"]) or one["msg"]
    return message.removeprefix("Value error, ").replace("Input should be", "it has to be")


def _plain(error: ValidationError, model: type[BaseModel], table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in error.errors():
        cause = one.get("ctx", {}).get("error")
        if isinstance(cause, UnfittingKeysError):
            for problem in cause.problems:
                key, colon, message = problem.partition(": ")
                yield (key, message) if colon else ("", problem)
            continue
        place = [str(part) for part in one["loc"] if not str(part).startswith("function-")]
        message = plain_message(one)
        if one["type"] == "extra_forbidden":
            message = _unknown(place[-1], _allowed(model, place[:-1]))
        elif one["type"] == "model_type" and any("Conditional" in str(part) for part in one["loc"]):
            continue  # what is no text is said of the text
        elif one["type"] != "missing" and _UNION.fullmatch(place[-1] if place else "") and not _is_in(table, place):
            if isinstance(one["input"], Mapping):
                continue  # it is one of the other kinds that are allowed here
            place.pop()
            is_word = place[:2] == ["run", "command"]
            message = "write a text, or { when = …, words = […] }" if is_word else "no such value is allowed here"
        yield ".".join(place), message


def _unknown(key: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, allowed, n=1)
    return "there is no such key" + (f": did you mean {near[0]}?" if near else f"; there is {', '.join(allowed)}")


def _allowed(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    """Return the keys that a model allows at a place."""
    schema = model.model_json_schema()
    nodes = list(_expanded(schema, schema))
    for part in place:
        below: list[Any] = []
        for node in nodes:
            if part in node.get("properties", {}):
                below.append(node["properties"][part])
            else:
                rooms = (
                    node.get("items"),
                    node.get("additionalProperties"),
                    *node.get("patternProperties", {}).values(),
                )
                below += [room for room in rooms if isinstance(room, dict)]
        nodes = [one for node in below for one in _expanded(node, schema)]
    return [name for node in nodes for name in node.get("properties", {})]


def _expanded(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in node:
        yield from _expanded(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    elif "anyOf" in node:
        for one in node["anyOf"]:
            yield from _expanded(one, schema)
    else:
        yield node


def _is_in(table: Any, place: Sequence[str]) -> bool:
    for part in place:
        if isinstance(table, Mapping) and part in table:
            table = table[part]
        elif isinstance(table, list) and part.isdigit() and int(part) < len(table):
            table = table[int(part)]
        else:
            return False
    return True


def line_of(text: str, place: Sequence[str]) -> int:
    """Return the 1-based line of a key in a TOML text, or of the table it is in; 0 if it is not found."""
    table: list[str] = []
    best, deepest = 0, 0
    place = [part for part in place if part]
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = [part.strip().strip('"') for part in head[1].split(".")]
            here = table
        elif key := re.match(r"\s*([A-Za-z0-9_.\"-]+)\s*=", line):
            here = [*table, *(part.strip('"') for part in key[1].split("."))]
        else:
            continue
        if here == place[: len(here)] and len(here) > deepest:
            best, deepest = number, len(here)
    return best
