"""What a FAIR registry answers over its REST API, checked as it arrives: pages, rows, references, signed links."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from multiblast.errors import StoreError
from multiblast.registry.model.kinds import BACK_REFERENCES, KINDS
from multiblast.registry.model.rows import Id, RowT

_REFERENCE = re.compile(r"https?://[^/?#\s]+(?:/[^/?#\s]+)*?/api/(\w+)/([1-9]\d{0,17})/?", re.ASCII)
_SIGNED = re.compile(r"https?://[^\s\x00-\x1f]+")
_LENGTH = re.compile(r"[0-9]{1,18}")
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class Page(BaseModel):
    """One page of a list: how many rows the list has, those of the page, and the address of the next page."""

    count: Annotated[int, Field(ge=0)]
    next: str | None
    results: list[dict[str, Any]]


def _web(value: str) -> str:
    if not _SIGNED.fullmatch(value):
        raise ValueError("it is no address to send a file to")
    return value


class SignedLink(BaseModel):
    """Where a file may be uploaded."""

    url: Annotated[str, AfterValidator(_web)]


class InvalidRowError(StoreError):
    """A row is not what the data model wants."""


def parse_json(content: bytes, source: str) -> Any:
    """Return what JSON says.

    Raises:
        StoreError: it is none, or deeper than any registry's.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = f"{source} answered with something that is not JSON: is this the address of a FAIR registry?"
        raise StoreError(reason) from error


def parse_answer(model: type[AnswerT], answer: Any, source: str) -> AnswerT:
    """Return an answer as what it should be.

    Raises:
        StoreError: it is something else.
    """
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        reason = f"{source} answered with something that is no {model.__name__.lower()} of a registry: {_why(error)}"
        raise StoreError(reason) from error


def parse_row(kind: type[RowT], item: Any, base: str) -> RowT:
    """Return a row that a registry sent; everything that comes from it as a row passes here.

    Args:
        kind: What it should be.
        item: What came.
        base: The address of the registry's API. References are written with it, however the registry writes them, so
            that a row has one name only.

    Raises:
        InvalidRowError: it is none, or refers to something that a row of its kind cannot refer to.
    """
    described = KINDS[kind.kind]

    def own(kind: str, reference: Any) -> str:
        return f"{base}{kind}/{number_of(reference, kind)}/"

    if not isinstance(item, Mapping):
        raise InvalidRowError(f"{base} sent a {kind.kind} that is none: it is no record")
    try:
        fields = {name: item[name] for name in described.plain if name in item}
        for name, target in described.references.items():
            fields[name] = own(target, item[name]) if item.get(name) is not None else None
        for name, listed in described.lists.items():
            fields[name] = list(dict.fromkeys(own(listed.kind, one) for one in _listed(item.get(name))))
        fields["details"] = {
            place: [own(place.partition(".")[0], one) for one in _listed(item.get(name))]
            for name, place in BACK_REFERENCES.get(kind.kind, {}).items()
        }
        return kind.model_validate(fields | {"reference": own(kind.kind, item.get("url"))})
    except (ValidationError, TypeError, ValueError) as error:
        why = _why(error) if isinstance(error, ValidationError) else str(error)
        raise InvalidRowError(f"{base} sent a {kind.kind} that is none: {why}") from error


def row_id(kind: str, item: Mapping[str, Any], base: str) -> Id | None:
    """Return kind and reference of an item of a page; None if it has no reference that could be one."""
    try:
        return kind, f"{base}{kind}/{number_of(item.get('url'), kind)}/"
    except ValueError:
        return None


def number_of(reference: Any, kind: str = "") -> int:
    """Return the number in a row's URL.

    Raises:
        ValueError: it is no URL of a row, or of another kind of row.
    """
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None or (kind and match[1] != kind):
        raise ValueError(f"{str(reference)[:100]!a} is no reference to a {kind or 'row'}")
    return int(match[2])


def read_length(text: str) -> int | None:
    """Return a length in bytes that a header says; None if it says none."""
    return int(text) if _LENGTH.fullmatch(text.strip()) else None


def _listed(value: Any) -> list[Any]:
    if value is not None and not isinstance(value, str | list):
        raise TypeError(f"{str(value)[:50]!a} is no list")
    return [] if value is None else [value] if isinstance(value, str) else value


def _why(error: ValidationError) -> str:
    wrong = error.errors()[0]
    return f"{'.'.join(map(str, wrong['loc']))[:100]} {wrong['msg'].removeprefix('Value error, ')}"
