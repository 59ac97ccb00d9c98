"""Pages about plugins, in Markdown, made from their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from multiblast.plugins.description import Description
from multiblast.plugins.plugin import Plugin


def page(plugin: Plugin, *, level: int = 1) -> str:
    """Return the page of a plugin; ``level`` is that of its heading."""
    return "\n".join(_lines(plugin.description, "#" * level)).rstrip() + "\n"


def pages(plugins: Iterable[Plugin], *, level: int = 2) -> str:
    """Return one page about several plugins."""
    return "\n".join(page(plugin, level=level) for plugin in plugins)


def _lines(description: Description, head: str) -> Iterator[str]:
    yield f"{head} {description.name}"
    yield ""
    yield f"*{_text(description.title)}* · {description.identifier} · {description.type}"
    for text in (*description.description.splitlines(), _facts(description)):
        if text.strip():
            yield ""
            yield _text(text)
    inputs = {
        name: (port.data, ", ".join(port.content), _count(port.required, many=port.many), _about(port.label, port.help))
        for name, port in description.inputs.items()
    }
    outputs = {
        name: (port.data, port.content, _count(port.required), _about(port.label, port.help))
        for name, port in description.outputs.items()
    }
    parameters = {
        name: (_kind(one), _default(one.default), _about(one.label, one.help))
        for name, one in description.parameters.items()
    }
    yield from _table("Input", ("Type", "Written as", "How many", "Meaning"), inputs)
    yield from _table("Output", ("Type", "Written as", "How many", "Meaning"), outputs)
    yield from _table("Parameter", ("Value", "Default", "Meaning"), parameters)
    for link in description.links:
        yield ""
        yield f"- {_text(link.type)}: <{link.href.replace('>', '%3E')}>"


def _facts(description: Description) -> str:
    tool, facts = description.tool, []
    if tool:
        versions = f" {tool.requires}" if tool.requires else ""
        where = f", in Debian's package `{tool.debian}`" if tool.debian else ""
        facts.append(f"Runs `{tool.command[0]}`{versions}{where}.")
    if description.license:
        facts.append(f"Licence: {_text(description.license)}.")
    if description.tags:
        facts.append(f"Tags: {', '.join(description.tags)}.")
    if description.run.network:
        facts.append("Uses the network.")
    if not description.run.cache:
        facts.append("Is run each time.")
    return " ".join(facts)


def _table(first: str, columns: tuple[str, ...], rows: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"| {' | '.join((first, *columns))} |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, cells in rows.items():
        yield f"| `{name}` | {' | '.join(_text(cell) for cell in cells)} |"


def _count(required: bool, *, many: bool = False) -> str:
    if many:
        return "one or more" if required else "any number"
    return "one" if required else "one or none"


def _kind(parameter: Any) -> str:
    if parameter.choices:
        return ", ".join(parameter.choices)
    least = f" from {parameter.least:g}" if parameter.least is not None else ""
    most = f" up to {parameter.most:g}" if parameter.most is not None else ""
    return f"{parameter.type}{least}{most}"


def _default(value: Any) -> str:
    if value is None:
        return "has to be given"
    return "empty" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def _about(label: str, text: str) -> str:
    return ". ".join(part.rstrip(".") for part in (label, text) if part)


def _text(text: str) -> str:
    """Return a text that stays in its cell, and is neither HTML nor a command to a terminal."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.replace("|", "\\|").replace("<", "&lt;").split())
