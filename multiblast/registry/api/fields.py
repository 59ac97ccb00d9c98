"""The fields of the REST API: how they are read from JSON and from queries, and how they are described."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from semver import Version
from sqlalchemy import Boolean, Column, ColumnElement, Integer, or_, select
from sqlmodel import col

from multiblast.database import UtcDateTime
from multiblast.errors import InvalidInputError, Problem, collecting
from multiblast.registry.local.registry import like_pattern
from multiblast.registry.model.kinds import BACK_REFERENCES, KINDS, Kind
from multiblast.registry.model.local_tables import User, UserAuthor
from multiblast.registry.model.names import check_name, check_namespace

USERS = Kind("users", User, ("username",), {}, {}, (("username",),))
USER_AUTHOR = Kind("user_author", UserAuthor, (), {"user": "users", "author": "author"}, {}, (("user",),))
API_KINDS: dict[str, Kind] = {**KINDS, USERS.name: USERS, USER_AUTHOR.name: USER_AUTHOR}

_TRUE, _FALSE = {"true", "1", "t", "yes"}, {"false", "0", "f", "no"}
_NUMBER = re.compile(r"(?:.*/)?(\d{1,18})/?")
_PATTERNS = {"name", "keyphrase"}  # fields in whose filters * stands for anything, also across slashes
# These become parts of paths. File types are checked where they do: DataPipeline.jl makes some of web addresses.
_CHECKS: dict[tuple[str, str], Callable[[str], None]] = {
    ("namespace", "name"): check_namespace,
    ("data_product", "name"): lambda name: check_name(name, "name"),
}
_MAY_BE_BLANK = {("file_type", "extension")}  # FDP-Cpp-API has none where it means one


def column(kind: Kind, name: str) -> Column[Any]:
    """Return the column of a field that has one value."""
    return cast("Column[Any]", cast("Any", kind.model).__table__.c[f"{name}_id" if name in kind.references else name])


def back_references(kind: Kind) -> dict[str, str]:
    """Return the fields that list rows which refer to this one, each as ``kind.field``."""
    return BACK_REFERENCES.get(kind.name, {})


def is_single(place: str) -> bool:
    """Return whether a row has at most one row that refers to it so."""
    other, _, name = place.partition(".")
    return name in KINDS[other].references and bool(column(KINDS[other], name).unique)


def number_of_reference(value: Any, name: str, target: str) -> int:
    """Return the number of a row that is given as its number or its URL.

    Raises:
        InvalidInputError: it is neither.
    """
    text = str(value)
    match = _NUMBER.fullmatch(text)
    if match is None or isinstance(value, bool) or ("/" in text and f"/{target}/" not in text):
        raise InvalidInputError(Problem(f"Invalid hyperlink: {text[:200]!r} is no {target} of this registry.", name))
    return int(match[1])


def read_fields(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the fields of a row to be made; what is not known is left out, as the data-registry does.

    Raises:
        InvalidInputError: with every field that is wrong or missing.
    """
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    for name in kind.fields:
        value = body.get(name)
        with collecting(problems):
            if value is None or (value == "" and (kind.name, name) not in _MAY_BE_BLANK):
                _check_may_lack(kind, name, is_blank=value == "")
            elif name in kind.lists:
                fields[name] = read_list(value, name, kind.lists[name].kind)
            elif name in kind.references:
                fields[name] = str(number_of_reference(value, name, kind.references[name]))
            else:
                fields[name] = _read_plain(kind, name, value)
    if problems:
        raise InvalidInputError(problems)
    return fields


def read_list(value: Any, name: str, target: str) -> list[str]:
    """Return the numbers of a list of references, as text; one alone may come without its list."""
    if value is not None and not isinstance(value, str | list):
        raise InvalidInputError(Problem("Expected a list of items.", name))
    items = [value] if isinstance(value, str) else value or []
    return [str(number_of_reference(item, name, target)) for item in items]


def _check_may_lack(kind: Kind, name: str, *, is_blank: bool) -> None:
    if is_required(kind, name):
        if (kind.name, name) == ("storage_location", "hash") and is_blank:
            raise InvalidInputError(Problem("There is no commit: run code that is in a git repository.", name))
        raise InvalidInputError(Problem(f"This field {'may not be blank' if is_blank else 'is required'}.", name))


def is_required(kind: Kind, name: str) -> bool:
    """Return whether a row cannot be made without a field."""
    if name in kind.lists or (kind.name, name) == ("external_object", "version"):  # that of its data product
        return False
    found = column(kind, name)
    info = cast("Any", kind.model).model_fields.get(found.name)
    return not found.nullable and (info is None or info.is_required())


def _read_plain(kind: Kind, name: str, value: Any) -> Any:
    kind_of_value = type_of(kind, name)
    if kind_of_value in ("string", "url"):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInputError(Problem("Not a valid string.", name))
        _check_text(kind, name, str(value))
        return str(value)
    return _parse(kind_of_value, name, value)


def _parse(kind_of_value: str, name: str, value: Any) -> Any:
    """Return a truth value, a whole number or a time; a time without a zone is of this machine's."""
    text = str(value).strip()
    if kind_of_value == "boolean" and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if kind_of_value == "integer" and not isinstance(value, bool) and re.fullmatch(r"\d{1,9}", text):
        return int(text)
    if kind_of_value == "datetime":
        try:
            return datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):
            pass
    raise InvalidInputError(Problem(f"{text[:100]!r} is not a valid {kind_of_value}.", name))


def _check_text(kind: Kind, name: str, text: str) -> None:
    if check := _CHECKS.get((kind.name, name)):
        try:
            check(text)
        except InvalidInputError as error:
            raise InvalidInputError([replace(problem, key=name) for problem in error.problems]) from error
    if name == "version" and not Version.is_valid(text):
        raise InvalidInputError(Problem(f"Version {text} is not a valid semantic version.", name))
    if type_of(kind, name) == "url" and not re.match(r"https?://", text):
        raise InvalidInputError(Problem("Enter a valid URL.", name))


def type_of(kind: Kind, name: str) -> str:
    """Return what kind of value a field has, in the words of the data-registry's answer to OPTIONS."""
    if name in kind.references or name in kind.lists or name in back_references(kind):
        return "field"
    kind_of_column = column(kind, name).type
    if isinstance(kind_of_column, Boolean):
        return "boolean"
    if isinstance(kind_of_column, UtcDateTime):
        return "datetime"
    if isinstance(kind_of_column, Integer):
        return "integer"
    return "url" if name == "website" else "string"


def describe_fields(kind: Kind) -> dict[str, dict[str, Any]]:
    """Return the description of every field that a client may send, or is given."""
    given = {"url": "field", "last_updated": "datetime"}
    own = {name: _described(type_of(kind, name), name, required=is_required(kind, name)) for name in kind.fields}
    back = {
        name: _described("field", name, read_only=(kind.name, name) != ("object_component", "issues"))
        for name in back_references(kind)
    }
    return {name: _described(word, name, read_only=True) for name, word in given.items()} | own | back


def _described(word: str, name: str, *, required: bool = False, read_only: bool = False) -> dict[str, Any]:
    return {"type": word, "required": required, "read_only": read_only, "label": name.replace("_", " ").capitalize()}


def condition(kind: Kind, name: str, texts: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a field has a value, as a query says it.

    Raises:
        InvalidInputError: there is no such field, or no such value.
    """
    if name in kind.lists:
        listed = kind.lists[name]
        numbers = _numbers(texts, name, listed.kind)
        own, other = listed.table.c[listed.own_column], listed.table.c[listed.other_column]
        return col(cast("Any", kind.model).id).in_(select(own).where(other.in_(numbers)))
    if name in kind.references:
        return column(kind, name).in_(_numbers(texts[-1:], name, kind.references[name]))
    if name not in kind.plain:
        raise InvalidInputError(Problem(f"Invalid query argument: there is {', '.join(kind.fields)}.", name))
    found, text, word = column(kind, name), texts[-1], type_of(kind, name)
    if word not in ("string", "url"):
        return cast("ColumnElement[bool]", found == _parse(word, name, text))
    if name in _PATTERNS and "*" in text:
        return found.like(like_pattern(text), escape="\\")
    if name == "version":  # a plus that was not encoded
        return or_(found == text, found == text.replace(" ", "+"))
    return found == text


def _numbers(texts: Iterable[str], name: str, target: str) -> list[int]:
    return [number_of_reference(part, name, target) for text in texts for part in text.split(",")]
