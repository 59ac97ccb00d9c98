"""Provenance for other programs: RO-Crate and W3C PROV."""

from __future__ import annotations

from collections.abc import Iterable
from mimetypes import guess_type
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prov.model import ProvDocument
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from multiblast.files import contained
from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import usable_extension
from multiblast.registry.model.rows import AuthorRow, CodeRunRow, FileTypeRow, ObjectRow, write_time
from multiblast.registry.model.tables import StoredFile
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.row_graph import collect_rows
from multiblast.registry.views.graph import provenance_svg

_NAMESPACE = "urn:uuid:"
_FAIR = "https://data.fairdatapipeline.org/vocab/#"
_CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
_CC0_DESCRIBED = {"name": "CC0 1.0", "description": "No rights reserved, as far as law allows."}
_SHA1_TERM = "https://w3id.org/ro/terms/workflow-run#sha1"  # the crates' own context has none


class _Provenance:
    """What an item came from, as others may see it."""

    def __init__(self, registry: Registry, item: str) -> None:
        seen = PublicView(registry)
        shown = [row for one in find_items(registry, item) for row in seen.read(type(one), [one.reference])]
        self.registry, self.graph = registry, collect_rows(seen, shown)

    def file(self, item: ObjectRow) -> StoredFile | None:
        """Return an object's file, if it is public and here."""
        kept = self.registry.files.get(self.graph.sha1(item))
        return kept if kept and self.registry.files.present(kept) else None

    def authors(self, item: ObjectRow) -> list[AuthorRow]:
        """Return who made an object."""
        return [author for reference in item.authors if (author := self.graph.get(AuthorRow, reference))]

    def used(self, run: CodeRunRow) -> Iterable[tuple[str, ObjectRow]]:
        """Yield what a run was run with."""
        for name in ("model_config", "submission_script", "code_repo"):
            if item := self.graph.get(ObjectRow, run.field(name)):
                yield name, item


def write_prov(registry: Registry, item: str, target: Path) -> None:
    """Write the provenance of an item as W3C PROV, in JSON.

    Raises:
        NotFoundError: the item is not here.
    """
    provenance = _Provenance(registry, item)
    document = ProvDocument()
    document.set_default_namespace(_NAMESPACE)
    document.add_namespace("fair", _FAIR)
    entities: dict[str, Any] = {}
    for row in provenance.graph.of(ObjectRow):
        sha1 = provenance.graph.sha1(row)
        described = {"prov:label": label(registry, row), "fair:hash": sha1, "fair:description": row.description}
        entity = entities[row.reference] = document.entity(row.uuid, _given(described))
        for author in provenance.authors(row):
            described = {"prov:type": "prov:Person", "prov:label": author.name, "fair:identifier": author.identifier}
            entity.wasAttributedTo(document.agent(author.uuid or author.reference, _given(described)))
    for run in provenance.graph.of(CodeRunRow):
        at = run.run_date
        activity = document.activity(run.uuid, at, None, {"prov:label": run.description})
        for one in provenance.graph.objects(run.inputs):
            activity.used(entities[one.reference], attributes={"prov:role": "fair:input"})
        for name, one in provenance.used(run):
            activity.used(entities[one.reference], attributes={"prov:role": f"fair:{name}"})
        for one in provenance.graph.objects(run.outputs):
            entities[one.reference].wasGeneratedBy(activity, at)
            for before in provenance.graph.objects(run.inputs):
                entities[one.reference].wasDerivedFrom(entities[before.reference], activity=activity)
    document.serialize(str(target), format="json", indent=2)


def _given(described: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in described.items() if value}


def write_provenance(registry: Registry, item: str, target: Path) -> None:
    """Write the provenance of an item in the format that the target's name calls for.

    Args:
        registry: The local one.
        item: See `multiblast.registry.local.items.find_items`.
        target: ``.json`` for W3C PROV, ``.svg`` for a picture, ``.zip`` or a directory for an RO-Crate.

    Raises:
        NotFoundError: the item is not here.
    """
    if target.suffix == ".json":
        write_prov(registry, item, target)
    elif target.suffix == ".svg":
        target.write_text(provenance_svg(registry, item), "utf-8")
    else:
        write_crate(registry, item, target)


def write_crate(registry: Registry, item: str, target: Path) -> None:
    """Write an item, with the files and the code runs of its provenance, as an RO-Crate: see `write_provenance`."""
    provenance = _Provenance(registry, item)
    crate = ROCrate()
    crate.name = f"Provenance of {item}"
    crate.description = f"{item} and what it was made from"
    crate.license = _context(crate, _CC0, "CreativeWork", _CC0_DESCRIBED)
    crate.metadata.extra_terms["sha1"] = _SHA1_TERM
    with TemporaryDirectory(prefix="multiblast-crate-") as directory:
        entities = {
            row.reference: _crate_entity(provenance, crate, row, Path(directory))
            for row in provenance.graph.of(ObjectRow)
        }
        for run in provenance.graph.of(CodeRunRow):
            _crate_run(provenance, crate, run, entities)
        if target.suffix == ".zip":
            crate.write_zip(target)
        else:
            crate.write(target)


def _crate_entity(provenance: _Provenance, crate: ROCrate, item: ObjectRow, directory: Path) -> Any:
    file_type = provenance.graph.get(FileTypeRow, item.file_type)
    described: dict[str, Any] = {"name": label(provenance.registry, item), "identifier": item.uuid}
    if item.description:
        described["description"] = item.description
    if kept := provenance.file(item):
        extension = usable_extension(file_type.extension) if file_type else ""
        name = f"{kept.sha1}.{extension}" if extension else kept.sha1
        provenance.registry.files.copy(kept.sha1, contained(directory, name))
        described |= {"contentSize": str(kept.size_bytes), "sha256": kept.sha256}
        described["encodingFormat"] = guess_type(name)[0] or "application/octet-stream"
        entry = contained(directory, "data", item.uuid, name).relative_to(directory.resolve())
        entity = crate.add_file(directory / name, str(entry), properties=described)
    else:
        described |= {"sha1": provenance.graph.sha1(item)} if provenance.graph.sha1(item) else {}
        entity = _context(crate, f"{_NAMESPACE}{item.uuid}", "CreativeWork", described)
    for author in provenance.authors(item):
        number = author.identifier or f"{_NAMESPACE}{author.uuid}"
        person = crate.dereference(number) or _context(crate, number, "Person", {"name": author.name or number})
        entity.append_to("author", person)
    return entity


def _context(crate: ROCrate, number: str, kind: str, described: dict[str, Any]) -> Any:
    """Add an entity that is no file to a crate; return it."""
    return crate.add(ContextEntity(crate, number, properties={"@type": kind, **described}))


def _crate_run(provenance: _Provenance, crate: ROCrate, run: CodeRunRow, entities: dict[str, Any]) -> None:
    described = {"name": run.description, "endTime": write_time(run.run_date)}
    action = _context(crate, f"{_NAMESPACE}{run.uuid}", "CreateAction", described)
    for one in provenance.graph.objects(run.inputs):
        action.append_to("object", entities[one.reference])
    for name, one in provenance.used(run):
        action.append_to("instrument" if name == "submission_script" else "object", entities[one.reference])
    for one in provenance.graph.objects(run.outputs):
        action.append_to("result", entities[one.reference])
    crate.root_dataset.append_to("mentions", action)
