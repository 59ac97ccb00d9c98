"""Write the tables of the reference of plugins, and leave its text: ``python docs/reference/make_plugins.py``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel

from multiblast.actions import plugin_sources
from multiblast.database import JobStatus
from multiblast.environment import PLUGIN_ENVIRONMENT
from multiblast.plugins import description, parameters, ports, run_table, search_table
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.kinds import DIRECTORY, SUFFIXES
from multiblast.plugins.pages import pages
from multiblast.plugins.plugin import Plugin, SourceKind
from multiblast.settings import PluginRules

PAGE = Path(__file__).with_name("plugins.md")

MEANINGS = {
    JobStatus.QUEUED: "recorded, and waiting to run; also after an answer and after a restart",
    JobStatus.IN_PROGRESS: "a round of it runs, or a plugin that it called",
    JobStatus.PAUSED: "it asks a person something, and goes on when that is answered. Nothing of it runs meanwhile",
    JobStatus.COMPLETE: "all its outputs are there, and were checked",
    JobStatus.FAILED: "it ended with an error, went beyond a limit, or made something else than its table says",
    JobStatus.CANCELLED: "somebody stopped it",
    JobStatus.EXPIRED: "nobody used its outputs for a time, and they were removed; a restart makes them again",
}

_DIRECTORY = "any directory; the pages, the HTTP API and `multiblast plugins get` give it as a zip"
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def page() -> str:
    """Return the whole page; what is between the parts that are made is written by hand, and kept."""
    made = dict(_parts())
    return re.sub(
        r"<!-- made: (.*?) -->\n.*?<!-- end -->",
        lambda found: f"<!-- made: {found[1]} -->\n{made[found[1]].strip()}\n<!-- end -->",
        PAGE.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )


def _parts() -> Iterator[tuple[str, str]]:
    """Yield the parts that are made, each with what it is called in its comment."""
    for module in (search_table, parameters, ports, run_table, description):
        for name, model in inspect.getmembers(module, inspect.isclass):
            if issubclass(model, BaseModel) and not name.startswith("_") and model is not BaseModel:
                yield name, _table(model)
    own = _own_plugins()
    contents = (*SUFFIXES.items(), (DIRECTORY, _DIRECTORY))
    yield "variables", _lines("Variable", "Meaning", PLUGIN_ENVIRONMENT.items())
    yield "data types", _lines("Data type", "Made and taken by", _data_types(own))
    yield "content types", _lines("Content type", "Names end in", contents)
    yield "inputs", _lines("Text", "Stands for", _input_forms())
    yield "statuses", _lines("Status", "Meaning", ((str(status), MEANINGS[status]) for status in JobStatus))
    yield "plugins", pages(own, level=3)


def _own_plugins() -> list[Plugin]:
    with TemporaryDirectory() as nothing:
        found = Catalogue(PluginRules(packages=False), Path(nothing)).newest()
    return [plugin for plugin in found if plugin.source.kind is SourceKind.BUILT_IN]


def _lines(first: str, second: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {first} | {second} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {_code(name)} | {_cell(text)} |" for name, text in rows)])


def _table(model: type[BaseModel]) -> str:
    summary = (inspect.getdoc(model) or "").partition("\n\nAttributes:")[0]
    return f"{_cell(summary)}\n\n{_rows(model)}"


def _rows(model: type[BaseModel]) -> str:
    """Return a row per key: the name, what it may be, its default and its meaning."""
    meanings, schema = dict(_meanings(model)), model.model_json_schema(mode="validation")
    lines = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = _kind(schema["properties"][name], schema.get("$defs", {}))
        default = "**required**" if field.is_required() else _default(field.get_default(call_default_factory=True))
        lines.append(f"| `{name}` | {kind} | {default} | {_cell(_capital(meanings[name]))} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _meanings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield what a model's docstring says about each of its keys."""
    text = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    yield from re.findall(r"(?ms)^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", text)


def _kind(field: dict[str, Any], definitions: dict[str, Any]) -> str:  # noqa: PLR0911 - one kind each
    if "$ref" in field:
        model = definitions[field["$ref"].rpartition("/")[2]]
        return _choices(model["enum"]) if "enum" in model else "table"
    if "anyOf" in field:
        kinds = dict.fromkeys(_kind(one, definitions) for one in field["anyOf"] if one.get("type") != "null")
        return " or ".join(one for one in kinds if one != "whole number" or "number" not in kinds)
    if "enum" in field:
        return _choices(field["enum"])
    if field.get("type") == "array":
        inner = _kind(field["items"], definitions)
        return "list of " + {"text": "texts", "table": "tables", "text or table": "words"}.get(inner, inner)
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        is_text = isinstance(values, dict) and _kind(values, definitions) == "text"
        return "texts by name" if is_text else "table"
    kind = _KINDS.get(field.get("type", ""), "any value")
    least, most = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum")
    if least is None:
        return kind
    return f"{kind}, {'over' if 'exclusiveMinimum' in field else 'from'} {least}" + (f" to {most}" if most else "")


def _choices(choices: list[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "as below"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value in ("", (), {}):
        return ""
    values = value if isinstance(value, tuple) else (f"{value:g}" if isinstance(value, float) else value,)
    return ", ".join(f"`{one}`" for one in values)


def _data_types(own: list[Plugin]) -> Iterator[tuple[str, str]]:
    """Yield the data types that there are, with the plugins that take and make them."""
    takes: dict[str, list[str]] = {}
    makes: dict[str, list[str]] = {}
    for plugin in own:
        for port in plugin.description.inputs.values():
            takes.setdefault(_plain(port.data), []).append(plugin.name)
        for made in plugin.description.outputs.values():
            makes.setdefault(_plain(made.data), []).append(plugin.name)
    for data in sorted({*takes, *makes} - {"*"}):
        made_by, taken_by = (", ".join(dict.fromkeys(some.get(data, []))) for some in (makes, takes))
        yield data, "; ".join(filter(None, (made_by and f"made by {made_by}", taken_by and f"taken by {taken_by}")))


def _plain(data: str) -> str:
    return data.partition("/")[0]


def _input_forms() -> Iterator[tuple[str, str]]:
    rows = (plugin_sources.__doc__ or "").splitlines()
    for row in rows:
        if found := re.match(r"(``.*``|a path)  +(.*)", row):
            yield found[1].replace("``", ""), found[2]


def _code(name: str) -> str:
    return name if " " in name and ":" not in name else ", ".join(f"`{one}`" for one in name.split(", "))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if text else text


def _cell(text: str) -> str:
    text = re.sub(r"`multiblast\.plugins\.kinds`", "[types](#types)", text)
    return " ".join(text.replace("``", "`").split()).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
