"""What the values of rows may be: the one place that decides what is taken from another registry.

A remote registry is read by anybody and often written by anybody, so that
nothing in it can be trusted to be what the data model wants: each type here is
checked when a row arrives, and the rows of `multiblast.registry.model.rows` are
made of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field
from semver import Version

from multiblast.errors import InvalidInputError
from multiblast.registry.model.names import check_name, check_namespace, check_recorded_extension

_LONGEST_TEXT, _LONGEST_PLACE, _LONGEST_VERSION, _LARGEST = 1_000_000, 4_000, 200, 2**31 - 1
# What ends a string elsewhere, moves a terminal's cursor, or cannot be written as UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_IN_PLACES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{32,128}")  # of files SHA-1; what a repository calls its commits may be longer
_WEB = re.compile(r"(?!javascript:|vbscript:|data:)[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)  # pages make links of it


def _text(value: str) -> str:
    if found := _UNPRINTABLE.search(value):
        raise ValueError(f"{found[0]!a} is nothing that text has")
    return value


def _place(value: str) -> str:
    if found := _NOT_IN_PLACES.search(value):
        raise ValueError(f"{found[0]!a} is nothing that an address has")
    return value


def _name(value: str) -> str:
    return _as_value_error(lambda name: check_name(name, "name"), value)


def _namespace(value: str) -> str:
    return _as_value_error(check_namespace, value)


def _extension(value: str) -> str:
    return _as_value_error(check_recorded_extension, value)


def _as_value_error(check: Callable[[str], None], value: str) -> str:
    """Return what passes a check of this project; pydantic collects `ValueError` only as it is."""
    try:
        check(value)
    except InvalidInputError as error:
        raise ValueError(error.problems[0].message) from error
    return value


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value.lower()):
        raise ValueError(f"{value[:50]!a} is no UUID")
    return value.lower()


def _hash(value: str) -> str:
    if not _HASH.fullmatch(value.lower()):
        raise ValueError(f"{value[:50]!a} is no hash")
    return value.lower()


def _version(value: str) -> str:
    if len(value) > _LONGEST_VERSION or not Version.is_valid(value):
        raise ValueError(f"{value[:50]!a} is no semantic version")
    return value


def _web(value: str) -> str:
    if not _WEB.fullmatch(_place(value)):
        raise ValueError(f"{value[:50]!a} is no address")
    return value


def _utc(value: datetime) -> datetime:
    try:
        # A time without a zone is UTC.
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("it is a time that nobody can live to see") from error


Text = Annotated[str, Field(max_length=_LONGEST_TEXT), AfterValidator(_text)]
Word = Annotated[str, Field(min_length=1, max_length=_LONGEST_PLACE), AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
NamespaceName = Annotated[str, AfterValidator(_namespace)]
Extension = Annotated[str, AfterValidator(_extension)]
SemanticVersion = Annotated[str, AfterValidator(_version)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Hash = Annotated[str, AfterValidator(_hash)]
Root = Annotated[str, Field(min_length=1, max_length=_LONGEST_PLACE), AfterValidator(_place)]
PlacePath = Annotated[str, Field(max_length=_LONGEST_PLACE), AfterValidator(_place)]
WebAddress = Annotated[str, Field(max_length=_LONGEST_PLACE), AfterValidator(_web)]
Severity = Annotated[int, Field(ge=0, le=_LARGEST)]
Time = Annotated[datetime, AfterValidator(_utc)]
