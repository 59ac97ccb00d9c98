"""Write the reference of all flows: ``python docs/reference/make_flows.py`` in the checkout."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from prefect.utilities.callables import parameter_schema

PAGE = Path(__file__).with_name("flows.md")
PREFECT_FILE = PAGE.parents[2] / "deployments" / "prefect.yaml"

INTRODUCTION = """# Flows

*Made by `docs/reference/make_flows.py` from the flows that `deployments/prefect.yaml` deploys.*

A flow is what runs: it takes a while, and its run has a page in Prefect's browser interface. What only reads or changes
a record is done at once, in Python or by a command: see [actions](actions.md). These are the parameters that a form in
the browser asks for, and that `prefect deployment run NAME/NAME --param PARAMETER=VALUE` takes, once
[it knows the server](settings.md).
"""


def page() -> str:
    """Return the whole page; flows that differ in nothing but their names share a section."""
    sections: dict[str, list[str]] = {}
    for deployment in yaml.safe_load(PREFECT_FILE.read_text(encoding="utf-8"))["deployments"]:
        path, _, name = deployment["entrypoint"].partition(":")
        flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
        section = _section(flow) + "".join(f"\n{_schedule(found)}\n" for found in deployment.get("schedules", []))
        sections.setdefault(section, []).append(deployment["name"])
    parts = [f"## {', '.join(names)}\n\n{section}" for section, names in sections.items()]
    return "\n".join([INTRODUCTION, *parts])


def _section(flow: Any) -> str:
    summary = (flow.description or "").partition("\nArgs:")[0].partition("\nReturns:")[0].strip()
    schema = parameter_schema(flow)
    if not schema.properties:
        return f"{summary}\n"
    lines = [summary, "", "| Parameter | Values | Default | Meaning |", "|---|---|---|---|"]
    for name, field in schema.properties.items():
        default = "required" if name in schema.required else _default(field)
        values = _values(field, schema.definitions or {})
        meaning = " ".join(field.get("description", "").split()).replace("|", r"\|")
        lines.append(f"| `{name}` | {values} | {default} | {meaning} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _schedule(schedule: dict[str, Any]) -> str:
    """Say in words when a flow runs by itself."""
    if "cron" in schedule:
        minute, hour, *days = schedule["cron"].split()
        if days != ["*", "*", "0"]:
            raise ValueError(f"say {schedule['cron']} in words")
        when = f"on Sundays at {hour}:{minute} UTC"
    else:
        number, unit = schedule["interval"][2:-1], {"H": "hours", "M": "minutes"}[schedule["interval"][-1]]
        when = f"every {number} {unit}".replace("1 hours", "hour")
    active = schedule.get("active", True)
    return f"Runs by itself {when}." if active else f"Has a schedule, {when}, that is switched off at first."


def _values(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    for part in [*field.get("allOf", []), field]:
        if "$ref" in part:
            model = definitions[part["$ref"].rpartition("/")[2]]
            return _choices(model["enum"]) if "enum" in model else "[the program's options](options.md)"
    if "enum" in field:
        return _choices(field["enum"])
    if field.get("type") == "array":
        return "list of texts"
    kinds = {"string": "text", "integer": "whole number", "boolean": "yes or no", "object": "names and values"}
    return kinds.get(field["type"], field["type"])


def _choices(choices: list[Any]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if not value and value != 0 else f"`{value}`" if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    return "the program's" if isinstance(value, dict) else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
