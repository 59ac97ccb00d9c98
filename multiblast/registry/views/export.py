"""Provenance for other programs: RO-Crate and W3C PROV."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from mimetypes import MimeTypes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from prov.identifier import Namespace, QualifiedName
from prov.model import ProvDocument
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from multiblast.files import contained
from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.names import usable_extension
from multiblast.registry.model.rows import AuthorRow, CodeRunRow, FileTypeRow, Id, ObjectRow, write_time
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.row_graph import collect_rows
from multiblast.registry.views.graph import provenance_svg
from multiblast.registry.views.statements import Statements, Term

_NAMESPACE = "urn:uuid:"
_FAIR = "https://data.fairdatapipeline.org/vocab/#"
_FACTS = "https://data.fairdatapipeline.org/vocab/key_value#"  # keys that people chose: no words of FAIR's
_NO_LICENCE = {
    "name": "No licence stated",
    "description": "No licence of this item is recorded: ask its authors before you use it. Other files in here may "
    "have licences of their own.",
}
_PROPERTIES = {
    Term.KEYWORD: "keywords",
    Term.TITLE: "alternateName",
    Term.PUBLISHED: "datePublished",
    Term.PLACE: "url",
    Term.REPOSITORY: "codeRepository",
    Term.COMMIT: "version",
}
_TYPES = MimeTypes()  # the same on each machine, whatever tables that has
_TYPES.add_type("text/x-fasta", ".fasta")
_TYPES.add_type("application/yaml", ".yaml")
_TYPES.add_type("application/vnd.apache.parquet", ".parquet")
_SHA1_TERM = "https://w3id.org/ro/terms/workflow-run#sha1"  # the crates' own context has none


class _Provenance:
    """What an item came from, as others may see it."""

    def __init__(self, registry: Registry, item: str) -> None:
        seen = PublicView(registry)
        shown = [row for one in find_items(registry, item) for row in seen.read(type(one), [one.reference])]
        self.registry, self.graph = registry, collect_rows(seen, shown)
        self.roots = [row for row in shown if isinstance(row, ObjectRow)]
        self.statements = Statements(self.graph)

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
    document.add_namespace("fact", _FACTS)
    entities, agents = dict[str, Any](), dict[Id, Any]()
    for row in provenance.graph.of(ObjectRow):
        sha1 = provenance.graph.sha1(row)
        described = {"prov:label": label(registry, row), "fair:hash": sha1, "fair:description": row.description}
        stated = [(_term(term), value) for term, value in provenance.statements.of(row)]
        entity = entities[row.reference] = document.entity(row.uuid, [*_given(described).items(), *stated])
        for author in provenance.authors(row):
            described = {"prov:type": "prov:Person", "prov:label": author.name, "fair:identifier": author.identifier}
            if author.id not in agents:
                agents[author.id] = document.agent(author.uuid or author.reference, _given(described))
            entity.wasAttributedTo(agents[author.id])
    for run in provenance.graph.of(CodeRunRow):
        activity = document.activity(run.uuid, run.run_date, None, {"prov:label": run.description})
        for one in provenance.graph.objects(run.inputs):
            activity.used(entities[one.reference], attributes={"prov:role": "fair:input"})
        for name, one in provenance.used(run):
            activity.used(entities[one.reference], attributes={"prov:role": f"fair:{name}"})
        for one in provenance.graph.objects(run.outputs):
            entities[one.reference].wasGeneratedBy(activity)  # when it ended is not recorded
            for before in provenance.graph.objects(run.inputs):
                entities[one.reference].wasDerivedFrom(entities[before.reference], activity=activity)
    document.serialize(str(target), format="json", indent=2)


def _term(term: Term | str) -> QualifiedName:
    """Return what PROV calls a term of FAIR's, or the key of a fact; it takes no other letters in a name."""
    space, name = (
        (Namespace("fair", _FAIR), term.value) if isinstance(term, Term) else (Namespace("fact", _FACTS), term)
    )
    return QualifiedName(space, re.sub(r"[^A-Za-z0-9_.-]", "_", name))


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
    stated = [
        value for row in provenance.roots for term, value in provenance.statements.of(row) if term == Term.LICENCE
    ]
    crate.license = [_licence(crate, value) for value in dict.fromkeys(stated)] or _unlicensed(crate)
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
        described["encodingFormat"] = _TYPES.guess_type(name)[0] or "application/octet-stream"
        entry = contained(directory, "data", item.uuid, name).relative_to(directory.resolve())
        entity = crate.add_file(directory / name, str(entry), properties=described)
    else:
        is_code = Term.COMMIT in dict(provenance.statements.of(item))  # whose hash that is
        described |= {"sha1": provenance.graph.sha1(item)} if provenance.graph.sha1(item) and not is_code else {}
        entity = _context(crate, f"{_NAMESPACE}{item.uuid}", "CreativeWork", described)  # source code would be a file
    for statement in provenance.statements.of(item):
        _state(crate, entity, item.uuid, *statement)
    for author in provenance.authors(item):
        number = author.identifier or f"{_NAMESPACE}{author.uuid}"
        person = crate.dereference(number) or _context(crate, number, "Person", {"name": author.name or number})
        entity.append_to("author", person)
    return entity


def _state(crate: ROCrate, entity: Any, uuid: str, term: Term | str, value: str) -> None:
    """Add a statement to an object's entity: by the property that schema.org has for it, or as one of its own."""
    if term == Term.LICENCE:
        entity.append_to("license", _licence(crate, value))
    elif term == Term.IDENTIFIER:
        entity["identifier"] = [*_listed(entity["identifier"]), value]
    elif isinstance(term, Term) and (name := _PROPERTIES.get(term)):
        entity[name] = [*_listed(entity.get(name)), value] if entity.get(name) else value
    else:
        name = term.value if isinstance(term, Term) else term
        number = f"#{uuid}/{quote(name, safe='')}/{len(_listed(entity.get('additionalProperty')))}"
        described = {"name": name, "propertyID": _term(term).uri, "value": value}
        entity.append_to("additionalProperty", _context(crate, number, "PropertyValue", described))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _licence(crate: ROCrate, stated: str) -> Any:
    """Return the entity of a licence, by its address if it is stated with one."""
    address, _, words = stated.partition(" ")
    if address.startswith(("http://", "https://")):
        number, words = address, words or address
    else:
        number, words = f"#licence/{sha256(stated.encode()).hexdigest()}", stated
    described = {"name": words.strip().split("\n")[0], "description": words}
    return crate.dereference(number) or _context(crate, number, "CreativeWork", described)


def _unlicensed(crate: ROCrate) -> Any:
    return _context(crate, "#no-licence", "CreativeWork", _NO_LICENCE)


def _context(crate: ROCrate, number: str, kind: str, described: dict[str, Any]) -> Any:
    """Add an entity that is no file to a crate; return it."""
    return crate.add(ContextEntity(crate, number, properties={"@type": kind, **described}))


def _crate_run(provenance: _Provenance, crate: ROCrate, run: CodeRunRow, entities: dict[str, Any]) -> None:
    described = {"name": run.description, "startTime": write_time(run.run_date)}
    action = _context(crate, f"{_NAMESPACE}{run.uuid}", "CreateAction", described)
    for one in provenance.graph.objects(run.inputs):
        action.append_to("object", entities[one.reference])
    for name, one in provenance.used(run):
        if name == "submission_script":
            action["instrument"] = entities[one.reference]  # alone: readers of crates take no list
        else:
            action.append_to("object", entities[one.reference])
    for one in provenance.graph.objects(run.outputs):
        action.append_to("result", entities[one.reference])
    crate.root_dataset.append_to("mentions", action)
