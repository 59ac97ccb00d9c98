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
from multiblast.registry.model.rows import Row, read_time
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.views.graph import provenance_svg

__all__ = ["prov_document", "write_crate", "write_prov", "write_provenance"]

_NAMESPACE = "urn:uuid:"
_FAIR = "https://data.fairdatapipeline.org/vocab/#"
_CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
_CC0_TOLD = {"@type": "CreativeWork", "name": "CC0 1.0", "description": "No rights reserved, as far as law allows."}
_SHA1_TERM = "https://w3id.org/ro/terms/workflow-run#sha1"  # the crates' own context has none


@dataclass(frozen=True, slots=True)
class _Provenance:
    """What an item came from, as others may see it."""

    registry: Registry
    items: list[Row]
    closure: RowGraph

    @classmethod
    def of(cls, registry: Registry, item: str) -> _Provenance:
        seen = PublicView(registry)
        rows = find_items(registry, item)
        shown = [row for kind in ("object", "code_run") for row in seen.read(kind, _references(rows, kind))]
        return cls(registry, shown, collect_rows(seen, shown))

    def file(self, item: Row) -> StoredFile | None:
        """Return an object's file, if it is public and here."""
        location = self.closure.rows.get(("storage_location", item.fields["storage_location"] or ""))
        kept = self.registry.files.get(location.fields["hash"]) if location else None
        return kept if kept and self.registry.files.present(kept) else None

    def hash(self, item: Row) -> str:
        """Return the hash of an object's content; empty if others may not see it."""
        location = self.closure.rows.get(("storage_location", item.fields["storage_location"] or ""))
        return str(location.fields["hash"]) if location else ""

    def objects(self, run: Row, field: str) -> list[Row]:
        """Return the objects that a run read or wrote."""
        components = [self.closure.rows["object_component", reference] for reference in run.fields[field]]
        return [self.closure.rows["object", one.fields["object"]] for one in components]

    def authors(self, item: Row) -> list[Row]:
        """Return who made an object."""
        return [self.closure.rows["author", reference] for reference in item.fields["authors"]]

    def used(self, run: Row) -> Iterable[tuple[str, Row]]:
        """Yield what a run was run with."""
        for name in ("model_config", "submission_script", "code_repo"):
            if reference := run.fields[name]:
                yield name, self.closure.rows["object", reference]


def _references(rows: list[Row], kind: str) -> list[str]:
    return [row.reference for row in rows if row.kind == kind]


def prov_document(registry: Registry, item: str) -> ProvDocument:
    """Return the provenance of an item as a W3C PROV document.

    Raises:
        NotFoundError: the item is not here.
    """
    story = _Provenance.of(registry, item)
    document = ProvDocument()
    document.set_default_namespace(_NAMESPACE)
    document.add_namespace("fair", _FAIR)
    entities: dict[str, Any] = {}
    for row in story.closure.of("object"):
        told = {
            "prov:label": label(registry, row),
            "fair:hash": story.hash(row),
            "fair:description": row.fields["description"],
        }
        entity = document.entity(row.fields["uuid"], {name: value for name, value in told.items() if value})
        entities[row.reference] = entity
        for author in story.authors(row):
            entity.wasAttributedTo(_agent(document, author))
    for run in story.closure.of("code_run"):
        at = read_time(run.fields["run_date"])
        activity = document.activity(run.fields["uuid"], at, None, {"prov:label": run.fields["description"]})
        for one in story.objects(run, "inputs"):
            activity.used(entities[one.reference], attributes={"prov:role": "fair:input"})
        for name, one in story.used(run):
            activity.used(entities[one.reference], attributes={"prov:role": f"fair:{name}"})
        for one in story.objects(run, "outputs"):
            entities[one.reference].wasGeneratedBy(activity, at)
            for before in story.objects(run, "inputs"):
                entities[one.reference].wasDerivedFrom(entities[before.reference], activity=activity)
    return document


def _agent(document: ProvDocument, author: Row) -> Any:
    told = {
        "prov:type": "prov:Person",
        "prov:label": author.fields["name"],
        "fair:identifier": author.fields["identifier"],
    }
    return document.agent(author.fields["uuid"], {name: value for name, value in told.items() if value})


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
    story = _Provenance.of(registry, item)
    crate = ROCrate()
    crate.name = f"Provenance of {item}"
    crate.description = f"{item} and what it was made from"
    crate.license = crate.add(ContextEntity(crate, _CC0, properties=_CC0_TOLD))
    crate.metadata.extra_terms["sha1"] = _SHA1_TERM
    with TemporaryDirectory(prefix="multiblast-crate-") as directory:
        entities = {
            row.reference: _crate_entity(story, crate, row, Path(directory)) for row in story.closure.of("object")
        }
        for run in story.closure.of("code_run"):
            _crate_run(story, crate, run, entities)
        if target.suffix == ".zip":
            crate.write_zip(target)
        else:
            crate.write(target)


def _crate_entity(story: _Provenance, crate: ROCrate, item: Row, directory: Path) -> Any:
    file_type = story.closure.rows.get(("file_type", item.fields["file_type"] or ""))
    told: dict[str, Any] = {"name": label(story.registry, item), "identifier": item.fields["uuid"]}
    if item.fields["description"]:
        told["description"] = item.fields["description"]
    if kept := story.file(item):
        name = kept.sha1 + (f".{file_type.fields['extension']}" if file_type else "")
        story.registry.files.copy(kept.sha1, directory / name)
        told |= {"contentSize": str(kept.size_bytes), "sha256": kept.sha256}
        told["encodingFormat"] = guess_type(name)[0] or "application/octet-stream"
        entity = crate.add_file(directory / name, f"data/{item.fields['uuid']}/{name}", properties=told)
    else:
        told |= {"sha1": story.hash(item)} if story.hash(item) else {}
        entity = crate.add(
            ContextEntity(crate, f"{_NAMESPACE}{item.fields['uuid']}", properties={"@type": "CreativeWork", **told})
        )
    for author in story.authors(item):
        entity.append_to("author", _crate_person(crate, author))
    return entity


def _crate_person(crate: ROCrate, author: Row) -> Any:
    number = author.fields["identifier"] or f"{_NAMESPACE}{author.fields['uuid']}"
    known = crate.dereference(number)
    name = author.fields["name"] or number
    return known or crate.add(ContextEntity(crate, number, properties={"@type": "Person", "name": name}))


def _crate_run(story: _Provenance, crate: ROCrate, run: Row, entities: dict[str, Any]) -> None:
    action = crate.add(
        ContextEntity(
            crate,
            f"{_NAMESPACE}{run.fields['uuid']}",
            properties={
                "@type": "CreateAction",
                "name": run.fields["description"],
                "endTime": run.fields["run_date"],
            },
        )
    )
    for one in story.objects(run, "inputs"):
        action.append_to("object", entities[one.reference])
    for name, one in story.used(run):
        action.append_to("instrument" if name == "submission_script" else "object", entities[one.reference])
    for one in story.objects(run, "outputs"):
        action.append_to("result", entities[one.reference])
    crate.root_dataset.append_to("mentions", action)
