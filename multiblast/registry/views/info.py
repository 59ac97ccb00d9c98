"""What is recorded of an item."""

from __future__ import annotations

from typing import Any

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import (
    AuthorRow,
    CodeRunRow,
    DataProductRow,
    ExternalObjectRow,
    FileTypeRow,
    IssueRow,
    KeyValueRow,
    KeywordRow,
    LicenceRow,
    ObjectComponentRow,
    ObjectRow,
    StorageLocationRow,
    StorageRootRow,
    join_place,
    write_time,
)
from multiblast.registry.sync.row_graph import RowGraph, collect_rows

_PUBLISHED = ("title", "identifier", "alternate_identifier", "alternate_identifier_type", "version", "description")


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
            plain |= _run_info(registry, row, graph)
        if isinstance(row, ObjectRow):
            plain |= _object_info(registry, row, graph)
        plain["code_runs"] = [
            {"uuid": run.uuid, "description": run.description, "run_date": write_time(run.run_date)}
            for run in graph.of(CodeRunRow)
        ]
        found.append(plain)
    return found


def _run_info(registry: Registry, run: CodeRunRow, graph: RowGraph) -> dict[str, Any]:
    """Return what a run was run with, by name."""
    plain: dict[str, Any] = {"run_date": write_time(run.run_date)}
    for name in ("code_repo", "model_config", "submission_script"):
        item = graph.get(ObjectRow, run.field(name))
        plain[name] = label(registry, item) if item else None
    repository = graph.get(ObjectRow, run.code_repo)
    place = graph.get(StorageLocationRow, repository.storage_location) if repository else None
    if place and (root := graph.get(StorageRootRow, place.storage_root)):
        plain["code_repo"] = f"{join_place(root.root, place.path)} at {place.hash}"
    for name in ("inputs", "outputs"):
        parts = [graph.get(ObjectComponentRow, reference) for reference in run.field(name)]
        plain[name] = [_part_name(registry, graph, part) for part in parts if part]
    return plain


def _part_name(registry: Registry, graph: RowGraph, part: ObjectComponentRow) -> str:
    """Return what a run read or wrote: an object, or a named part of one."""
    item = graph.get(ObjectRow, part.object)
    name = label(registry, item) if item else f"object {part.object}"
    return name if part.whole_object else f"{name}, component {part.name}"


def _object_info(registry: Registry, row: ObjectRow, graph: RowGraph) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    location = graph.get(StorageLocationRow, row.storage_location)
    if location and (root := graph.get(StorageRootRow, location.storage_root)):
        kept = registry.files.get(location.hash)
        plain["storage_location"] = join_place(root.root, location.path)
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
    products = registry.details(DataProductRow, "object", [row])
    plain["published"] = [
        {name: one.field(name) for name in _PUBLISHED if one.field(name) is not None}
        | {"release_date": write_time(one.release_date)}
        for one in registry.details(ExternalObjectRow, "data_product", products)
    ]
    return plain
