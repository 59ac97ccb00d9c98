"""What is recorded of an item."""

from __future__ import annotations

from typing import Any

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import (
    AuthorRow,
    CodeRunRow,
    FileTypeRow,
    IssueRow,
    KeyValueRow,
    KeywordRow,
    LicenceRow,
    ObjectComponentRow,
    ObjectRow,
    StorageLocationRow,
    StorageRootRow,
    write_time,
)
from multiblast.registry.sync.row_graph import RowGraph, collect_rows


def info(registry: Registry, text: str) -> list[dict[str, Any]]:
    """Return what is recorded of an item: its own row, its details, and its provenance by name.

    Raises:
        NotFoundError: it is not here.
    """
    found: list[dict[str, Any]] = []
    for row in find_items(registry, text):
        graph = collect_rows(registry, [row])
        plain: dict[str, Any] = {"item": label(registry, row), "kind": row.kind, **row.fields}
        if isinstance(row, CodeRunRow):
            plain["run_date"] = write_time(row.run_date)
        if isinstance(row, ObjectRow):
            plain |= _object_info(registry, row, graph)
        plain["code_runs"] = [
            {"uuid": run.uuid, "description": run.description, "run_date": write_time(run.run_date)}
            for run in graph.of(CodeRunRow)
        ]
        found.append(plain)
    return found


def _object_info(registry: Registry, row: ObjectRow, graph: RowGraph) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    location = graph.get(StorageLocationRow, row.storage_location)
    if location and (root := graph.get(StorageRootRow, location.storage_root)):
        kept = registry.files.get(location.hash)
        plain["storage_location"] = root.root + location.path
        plain |= {"sha1": location.hash, "public": location.public}
        plain |= {"sha256": kept.sha256, "size_bytes": kept.size_bytes} if kept else {}
    file_type = graph.get(FileTypeRow, row.file_type)
    plain["file_type"] = file_type.extension if file_type else None
    authors = [author for reference in row.authors if (author := graph.get(AuthorRow, reference))]
    plain["authors"] = [author.identifier or author.name for author in authors]
    plain["keywords"] = [one.keyphrase for one in registry.details(KeywordRow, "object", [row])]
    plain["licences"] = [one.licence_info for one in registry.details(LicenceRow, "object", [row])]
    values = registry.details(KeyValueRow, "object", [row])
    plain["key_values"] = {one.key: one.value for one in values}
    components = registry.details(ObjectComponentRow, "object", [row])
    plain["components"] = [one.name for one in components]
    issues = registry.details(IssueRow, "component_issues", components)
    plain["issues"] = [{"severity": one.severity, "description": one.description} for one in issues]
    return plain
