"""Provenance for other programs: RO-Crate and W3C PROV."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prov.model import ProvDocument
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.rows import AuthorRow, CodeRunRow, FileTypeRow, ObjectRow, write_time
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.views.graph import provenance_svg

_NAMESPACE = "urn:uuid:"
_FAIR = "https://data.fairdatapipeline.org/vocab/#"
_CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
_CC0_DESCRIBED = {
    "@type": "CreativeWork",
    "name": "CC0 1.0",
    "description": "No rights reserved, as far as law allows.",
}
_SHA1_TERM = "https://w3id.org/ro/terms/workflow-run#sha1"  # the crates' own context has none


@dataclass(frozen=True, slots=True)
class _Provenance:
    """What an item came from, as others may see it."""

    registry: Registry
    graph: RowGraph

    @classmethod
    def of(cls, registry: Registry, item: str) -> _Provenance:
        seen = PublicView(registry)
        shown = [row for one in find_items(registry, item) for row in seen.read(type(one), [one.reference])]
        return cls(registry, collect_rows(seen, shown))

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


def prov_document(registry: Registry, item: str) -> ProvDocument:
    """Return the provenance of an item as a W3C PROV document.

    Raises:
        NotFoundError: the item is not here.
    """
    provenance = _Provenance.of(registry, item)
    document = ProvDocument()
    document.set_default_namespace(_NAMESPACE)
    document.add_namespace("fair", _FAIR)
    entities: dict[str, Any] = {}
    for row in provenance.graph.of(ObjectRow):
        described = {
            "prov:label": label(registry, row),
            "fair:hash": provenance.graph.sha1(row),
            "fair:description": row.description,
        }
        entity = document.entity(row.uuid, {name: value for name, value in described.items() if value})
        entities[row.reference] = entity
        for author in provenance.authors(row):
            entity.wasAttributedTo(_agent(document, author))
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
    return document


def _agent(document: ProvDocument, author: AuthorRow) -> Any:
    described = {
        "prov:type": "prov:Person",
        "prov:label": author.name,
        "fair:identifier": author.identifier,
    }
    return document.agent(author.uuid or author.reference, {name: value for name, value in described.items() if value})


def write_provenance(registry: Registry, item: str, target: Path) -> None:
    """Write the provenance of an item as what the target's name says.

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


def write_prov(registry: Registry, item: str, target: Path) -> None:
    """Write the provenance of an item as PROV-JSON.

    Raises:
        NotFoundError: the item is not here.
    """
    prov_document(registry, item).serialize(str(target), format="json", indent=2)


def write_crate(registry: Registry, item: str, target: Path) -> None:
    """Write an item, with the files and the code runs of its provenance, as an RO-Crate.

    Args:
        registry: The local one.
        item: See `multiblast.registry.local.items.find_items`.
        target: A directory to make; a name that ends in ``.zip`` gives an archive.

    Raises:
        NotFoundError: the item is not here.
    """
    provenance = _Provenance.of(registry, item)
    crate = ROCrate()
    crate.name = f"Provenance of {item}"
    crate.description = f"{item} and what it was made from"
    crate.license = crate.add(ContextEntity(crate, _CC0, properties=_CC0_DESCRIBED))
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
        name = kept.sha1 + (f".{file_type.fields['extension']}" if file_type else "")
        provenance.registry.files.copy(kept.sha1, directory / name)
        described |= {"contentSize": str(kept.size_bytes), "sha256": kept.sha256}
        described["encodingFormat"] = guess_type(name)[0] or "application/octet-stream"
        entity = crate.add_file(directory / name, f"data/{item.fields['uuid']}/{name}", properties=described)
    else:
        described |= {"sha1": provenance.graph.sha1(item)} if provenance.graph.sha1(item) else {}
        entity = crate.add(
            ContextEntity(
                crate, f"{_NAMESPACE}{item.fields['uuid']}", properties={"@type": "CreativeWork", **described}
            )
        )
    for author in provenance.authors(item):
        entity.append_to("author", _crate_person(crate, author))
    return entity


def _crate_person(crate: ROCrate, author: AuthorRow) -> Any:
    number = author.identifier or f"{_NAMESPACE}{author.fields['uuid']}"
    known = crate.dereference(number)
    name = author.name or number
    return known or crate.add(ContextEntity(crate, number, properties={"@type": "Person", "name": name}))


def _crate_run(provenance: _Provenance, crate: ROCrate, run: CodeRunRow, entities: dict[str, Any]) -> None:
    action = crate.add(
        ContextEntity(
            crate,
            f"{_NAMESPACE}{run.fields['uuid']}",
            properties={
                "@type": "CreateAction",
                "name": run.description,
                "endTime": write_time(run.run_date),
            },
        )
    )
    for one in provenance.graph.objects(run.inputs):
        action.append_to("object", entities[one.reference])
    for name, one in provenance.used(run):
        action.append_to("instrument" if name == "submission_script" else "object", entities[one.reference])
    for one in provenance.graph.objects(run.outputs):
        action.append_to("result", entities[one.reference])
    crate.root_dataset.append_to("mentions", action)
