"""Fields of QHAna's forms, as parameters of a table or a question; copied beside plugins with their adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

_TYPES = (("Boolean", "flag"), ("Integer", "integer"), ("Number", "number"))


def field_facts(field: Any) -> dict[str, Any]:
    """Return what a table says of a field of marshmallow's."""
    kinds = {kind.__name__ for kind in type(field).__mro__}
    meta: dict[str, Any] = dict(field.metadata)
    facts: dict[str, Any] = {"required": bool(field.required)}
    choices = next(([str(one) for one in check.choices] for check in field.validators if hasattr(check, "choices")), [])
    limits = next((check for check in field.validators if type(check).__name__ == "Range"), None)
    default = field.load_default if isinstance(field.load_default, str | bool | int | float) else None
    if "EnumField" in kinds or choices:
        facts |= {"type": "choice", "choices": choices}
    else:
        facts["type"] = next((ours for theirs, ours in _TYPES if theirs in kinds), "text")
    if limits is not None and facts["type"] in {"integer", "number"}:
        facts |= {"least": limits.min, "most": limits.max}
    return facts | {
        "file": "FileUrl" in kinds,
        "secret": meta.get("input_type") == "password",
        "default": default,
        "label": str(meta.get("label") or ""),
        "help": re.sub(r"[ \t]+", " ", str(meta.get("description") or "")),
        "data": str(meta.get("data_input_type") or "*"),
        "content": meta.get("data_content_types") or "*",
    }


class FilledForm(HTMLParser):
    """Reads what is filled in already in a form."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the value of a field."""
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "textarea" and name:
            self._area, self.values[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self.values[self._select] = given.get("value", "")
        elif tag == "input" and name and given.get("type", "text") not in {"checkbox", "radio", "file", "submit"}:
            self.values[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """End a field."""
        self._area = "" if tag == "textarea" else self._area
        self._select = "" if tag == "select" else self._select

    def handle_data(self, data: str) -> None:
        """Take the text of a field with several lines."""
        if self._area:
            self.values[self._area] += data


def parameter(facts: Mapping[str, Any], filled: str | None = None) -> dict[str, Any]:
    """Return a field as a table describes parameters.

    Args:
        facts: See `field_facts`.
        filled: What the plugin's page has filled in already.
    """
    default = filled or facts["default"]
    kind, choices = facts["type"], [one for one in facts.get("choices", ()) if one]
    if kind == "choice" and not choices:
        kind = "text"
    if kind == "choice" and default not in choices:
        default = None if facts["required"] else choices[0]
    elif kind in {"integer", "number", "flag"}:
        default = _number(default, facts)
        default = "" if default is None and not facts["required"] else default
    elif default is not None or not facts["required"]:
        default = str(default or "")
    made: dict[str, Any] = {"type": kind, "label": facts["label"], "help": facts["help"]}
    made |= {"choices": choices} if kind == "choice" else {}
    made |= {"lines": True} if kind == "text" else {}
    numbers = {name: facts.get(name) for name in ("least", "most")} if kind in {"integer", "number"} else {}
    optional: dict[str, Any] = {**numbers, "default": default}
    return made | {name: value for name, value in optional.items() if value is not None}


def _number(default: Any, facts: Mapping[str, Any]) -> Any:
    if facts["type"] == "flag":
        return str(default).lower() in {"true", "on", "1", "yes"}
    try:
        number = float(default)
    except (TypeError, ValueError):
        return None
    return int(number) if facts["type"] == "integer" else number
