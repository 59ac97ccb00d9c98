"""What people say of items: keywords, licences, facts, components, issues, quality control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import ROWS, ObjectComponentRow, ObjectRow, Row


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be said of an item.

    Attributes:
        values: Facts of one word each, by their keys.
        components: Names of parts of it that there are to be.
        component: The part that the issues are about; empty for all of it.
        severity: Of the issues; the larger, the worse.
        document: The item that shows that it was quality controlled: see `find_items`.
    """

    keywords: Sequence[str] = ()
    licences: Sequence[str] = ()
    values: Mapping[str, str] | None = None
    components: Sequence[str] = ()
    issues: Sequence[str] = ()
    component: str = ""
    severity: int = 1
    document: str = ""


def describe(registry: Registry, text: str, said: Description) -> list[str]:
    """Record what is said of an item, all or nothing; return what is new, in words. The same again is the same.

    Raises:
        NotFoundError: the item, the document or the component is not here.
        InvalidInputError: it is a code run, or what is said cannot be recorded.
    """
    done: list[str] = []
    with registry.transaction():
        for item in find_items(registry, text):
            if not isinstance(item, ObjectRow):
                raise InvalidInputError(f"{label(registry, item)} is a run: describe what it read or wrote")
            owner = {"object": item.reference}
            facts: list[tuple[str, dict[str, Any]]] = [
                *(("keyword", {**owner, "keyphrase": word}) for word in said.keywords),
                *(("licence", {**owner, "licence_info": words}) for words in said.licences),
                *(("key_value", {**owner, "key": key, "value": value}) for key, value in (said.values or {}).items()),
                *(("object_component", {**owner, "name": name}) for name in said.components),
            ]
            if said.document:
                document = find_items(registry, said.document)[0]
                facts.append(("quality_controlled", {**owner, "document": document.reference}))
            done += [word for kind, fields in facts if (word := _recorded(registry, kind, fields))]
            for words in said.issues:
                part = _component(registry, item, said.component).reference
                issue = {"severity": said.severity, "description": words, "component_issues": [part]}
                done.append(_recorded(registry, "issue", {**issue, "uuid": str(uuid4())}))
    return done


def _recorded(registry: Registry, kind: str, fields: dict[str, Any]) -> str:
    """Record one row; return what it is if it is new, else nothing."""
    try:
        ROWS[kind].model_validate({**fields, "reference": "0"})
    except ValidationError as error:
        wrong = error.errors()[0]
        said = Problem(wrong["msg"].removeprefix("Value error, "), f"{kind} {wrong['loc'][0]}")
        raise InvalidInputError(said) from error
    (made,) = registry.create(kind, [fields])
    if made.row is None:
        raise InvalidInputError(f"the {kind.replace('_', ' ')} cannot be recorded: {made.error}")
    _refuse_other(kind, made.row, fields)
    word = next(value for name, value in fields.items() if name not in ("object", "severity"))
    return f"{kind.replace('_', ' ')} {word}" if made.new else ""


def _refuse_other(kind: str, row: Row, fields: Mapping[str, Any]) -> None:
    """Refuse to say something else than was said before where only one thing can be said."""
    for name in ("value", "document"):
        if name in fields and row.field(name) != fields[name]:
            before = f"its {kind.replace('_', ' ')} is {row.field(name)!r} already"
            raise InvalidInputError(f"{before}: it cannot be changed")


def _component(registry: Registry, item: ObjectRow, name: str) -> ObjectComponentRow:
    for part in registry.details(ObjectComponentRow, "object", [item]):
        if part.name == name or (not name and part.whole_object):
            return part
    raise NotFoundError("component", name, "name it with --component first")
