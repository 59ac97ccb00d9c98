"""What is recorded of an item."""

from __future__ import annotations

from typing import Any

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import Row
from multiblast.registry.sync.row_graph import RowGraph, collect_rows

__all__ = ["info"]


def info(registry: Registry, text: str) -> list[dict[str, Any]]:
    """Return what is recorded of an item: its own row, its details, and its provenance by name.

    Raises:
        NotFoundError: it is not here.
    """
    found: list[dict[str, Any]] = []
    for row in find_items(registry, text):
        closure = collect_rows(registry, [row])
        plain: dict[str, Any] = {"item": label(registry, row), "kind": row.kind, **row.fields}
        if row.kind == "object":
            plain |= _object_info(registry, row, closure)
        plain["code_runs"] = [
            {name: run.fields[name] for name in ("uuid", "description", "run_date")} for run in closure.of("code_run")
        ]
        found.append(plain)
    return found


def _object_info(registry: Registry, row: Row, closure: RowGraph) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if location := closure.rows.get(("storage_location", row.fields["storage_location"] or "")):
        kept = registry.files.get(location.fields["hash"])
        root = closure.rows["storage_root", location.fields["storage_root"]]
        plain["storage_location"] = root.fields["root"] + location.fields["path"]
        plain |= {"sha1": location.fields["hash"], "public": location.fields["public"]}
        plain |= {"sha256": kept.sha256, "size_bytes": kept.size_bytes} if kept else {}
    file_type = closure.rows.get(("file_type", row.fields["file_type"] or ""))
    plain["file_type"] = file_type.fields["extension"] if file_type else None
    authors = [closure.rows["author", reference].fields for reference in row.fields["authors"]]
    plain["authors"] = [author["identifier"] or author["name"] for author in authors]
    for kind, field in (("keyword", "keyphrase"), ("licence", "licence_info")):
        plain[f"{kind}s"] = [one.fields[field] for one in registry.details(kind, "object", [row])]
    values = registry.details("key_value", "object", [row])
    plain["key_values"] = {one.fields["key"]: one.fields["value"] for one in values}
    components = registry.details("object_component", "object", [row])
    plain["components"] = [one.fields["name"] for one in components]
    issues = registry.details("issue", "component_issues", components)
    plain["issues"] = [{"severity": one.fields["severity"], "description": one.fields["description"]} for one in issues]
    return plain
