"""The table of a plugin of QHAna's, from what it says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multiblast.plugins.kinds import CONTENT_TYPE, DATA_TYPE
from multiblast.plugins.qhana.fields import parameter

MORE = "more"
"""The port of all that a plugin makes without having declared it."""

_KNOWN = ("processing", "conversion", "dataloader", "interaction")


def table_of(facts: Mapping[str, Any], *, network: bool = False) -> dict[str, Any]:
    """Return the table of a plugin.

    Args:
        facts: What the adapter found out: see `multiblast.plugins.qhana.adapter.describe`.
        network: Whether it may use the network.

    Raises:
        ValueError: it is a plugin that cannot be run as a job.
    """
    meta, fields = facts["metadata"], facts["fields"]
    entry = meta["entryPoint"]
    if meta["type"] == "visualization":
        raise ValueError("it shows pages, as long as its own server runs, and makes nothing: use it in QHAna")
    inputs = _inputs(entry.get("dataInput") or [], fields)
    parameters = {name: _parameter(one) for name, one in fields.items() if name not in inputs and _is_port(name)}
    kind = meta["type"] if meta["type"] in _KNOWN else "processing"
    return {
        "name": slug(facts["name"]),
        "version": version(facts["version"]),
        "title": _line(meta.get("title") or facts["name"])[:200],
        "description": str(meta.get("description") or ""),
        "type": "processing" if kind == "dataloader" and inputs else kind,
        "tags": list(dict.fromkeys(tag for one in meta.get("tags") or [] if (tag := _tag(one)))),
        "links": [
            {"type": str(one["type"]), "href": one["href"]}
            for one in meta.get("links") or []
            if re.fullmatch(r"https?://\S+", str(one.get("href")))
        ],
        "inputs": inputs,
        "outputs": {one["port"]: one["table"] for one in outputs_of(entry)}
        | {MORE: {"data": "*", "content": "*", "required": False, "many": True, "label": "Whatever else it makes"}},
        "parameters": parameters,
        "needs": {one["parameter"]: _need(one) for one in entry.get("pluginDependencies") or []},
        # Whether equal inputs give equal outputs, such a plugin does not say.
        "run": {"script": "run.py", "network": network, "cache": False},
    }


def outputs_of(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a plugin declares to make, each with its port, its table, and what QHAna's metadata say of it."""
    found: list[dict[str, Any]] = []
    for one in entry.get("dataOutput") or []:
        name = re.sub(r"[^A-Za-z0-9_]+", "_", one.get("name") or one["dataType"].rpartition("/")[2]).strip("_")
        name = base = name[:50] if _is_port(name[:50]) and name != MORE else "output"
        taken, number = {other["port"] for other in found}, 2
        while name in taken:
            name, number = f"{base}{number}", number + 1
        contents = [_content(kind) for kind in one["contentType"]]
        table = {
            "data": _data(one["dataType"]).removesuffix("/*").removesuffix("/"),
            "content": contents[0] if len(contents) == 1 else "*",
            "required": bool(one["required"]),
            "label": str(one.get("name") or ""),
        }
        facts = {"name": one.get("name") or "", "data": one["dataType"], "content": one["contentType"]}
        facts["required"] = bool(one["required"])
        found.append({"port": name, "table": table, "facts": facts})
    return found


def _inputs(declared: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the inputs: what is declared as one, and every other field for the address of a file."""
    found = {}
    for one in declared:
        name = one.get("parameter") or ""
        if _is_port(name):
            field = fields.get(name, {})
            found[name] = _input(one["dataType"], one["contentType"], required=bool(one["required"]), field=field)
    for name, field in fields.items():
        if field["file"] and name not in found and _is_port(name):
            contents = [field["content"]] if isinstance(field["content"], str) else field["content"]
            found[name] = _input(field["data"], contents, required=field["required"], field=field)
    return found


def _input(data: str, contents: Sequence[str], *, required: bool, field: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data": _data("*" if data == "any" else data),
        "content": [_content(one) for one in contents] or ["*"],
        "required": required,
        "label": field.get("label", ""),
        "help": field.get("help", ""),
    }


def _parameter(field: Mapping[str, Any]) -> dict[str, Any]:
    made = parameter(field)
    if not field["secret"]:
        return made
    shown = {name: made[name] for name in ("label", "help")}
    return {"type": "secret", **shown, **({} if field["required"] else {"default": ""})}


def _need(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return another plugin that a plugin is given by its address; QHAna's ``v1.2`` is any of 1.2."""
    found: dict[str, Any] = {"required": bool(one.get("required"))}
    if one.get("name"):
        found["name"] = slug(one["name"])
    if one.get("type"):
        found["type"] = str(one["type"])
    if one.get("tags"):
        found["tags"] = [("!" if tag.startswith("!") else "") + _tag(tag.lstrip("!")) for tag in one["tags"]]
    if wanted := str(one.get("version") or ""):
        parts = [part.replace("v", "") for part in wanted.split()]
        found["version"] = ",".join(part if part[0] in "<>" else f"=={part}.*" for part in parts)
    return found


def written(table: Mapping[str, Any]) -> str:
    """Return a table as TOML."""
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    lines = [f"{name} = {_value(value)}" for name, value in plain.items() if value not in ("", [])]
    for name, value in table.items():
        if not isinstance(value, dict):
            continue
        if name == "run":
            lines += ["", "[run]", *(f"{key} = {_value(one)}" for key, one in value.items())]
            continue
        for port, facts in value.items():
            rows = [f"{key} = {_value(one)}" for key, one in facts.items() if one not in ("", []) or key == "default"]
            lines += ["", f"[{name}.{port}]", *rows]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "")


def slug(name: str) -> str:
    """Return a name as names of plugins are written here."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    return text if re.match(r"[a-z]", text) else f"qhana-{text}"[:60].strip("-")


def version(text: str) -> str:
    """Return a version as versions of plugins are written here: ``v0.2.1`` is 0.2.1."""
    plain = text.strip().lstrip("vV")
    return plain if re.fullmatch(r"[0-9][A-Za-z0-9.+_-]*", plain) else "0"


def _is_port(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,59}", name))


def _tag(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", str(text).lower()).strip("-.")[:60]


def _data(text: str) -> str:
    plain = text.strip().lower().replace("_", "-")
    return plain if re.fullmatch(DATA_TYPE, plain) else "*"


def _content(text: str) -> str:
    plain = text.strip().lower().partition(";")[0]
    return plain if re.fullmatch(CONTENT_TYPE, plain) else "*"


def _line(text: str) -> str:
    return " ".join(str(text).split())
