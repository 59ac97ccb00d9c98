"""Code runs that scripts recorded themselves, with the FAIR API of their language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlmodel import Session, col, select

from multiblast.errors import ConflictError
from multiblast.registry.config.working_config import Output, WorkingConfig
from multiblast.registry.local.records import place_of_code
from multiblast.registry.local.registry import Registry, number_of
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import CodeRunRow
from multiblast.registry.model.tables import (
    CodeRun,
    CodeRunOutput,
    DataProduct,
    FileType,
    KeyValue,
    Namespace,
    Object,
    ObjectComponent,
    StorageLocation,
)

CODE_RUNS = "coderuns.txt"  # in which pyDataPipeline, rDataPipeline and javaDataPipeline leave the UUIDs of their runs
_LONGEST = 1 << 20


def recorded_runs(registry: Registry, directory: Path, config: str, newest: int) -> list[CodeRunRow]:
    """Return the code runs that a script recorded: those it names, and those of its configuration.

    Args:
        registry: The local one.
        directory: Of the run, where the script may have left the UUIDs.
        config: The text of the configuration that it got: not every language leaves UUIDs.
        newest: The number of the newest code run before the script ran.

    Raises:
        ConflictError: a UUID that is none of a code run here.
    """
    file = directory / CODE_RUNS
    named = file.read_bytes()[:_LONGEST].decode(errors="replace").split() if file.is_file() else []
    found = registry.find(CodeRunRow, [{"uuid": uuid.lower()} for uuid in named])
    if missing := next((uuid for uuid, run in zip(named, found, strict=True) if run is None), None):
        raise ConflictError(f"{str(file)!r} names the code run {missing[:80]!r}, which is not in the local registry")
    sha1 = hashlib.sha1(config.encode(), usedforsecurity=False).hexdigest()
    query = select(CodeRun.id).join(Object, col(CodeRun.model_config_id) == Object.id).join(StorageLocation)
    with registry.session() as session:
        numbers = session.exec(query.where(StorageLocation.hash == sha1, col(CodeRun.id) > newest)).all()
    runs = [run for run in found if run] + registry.read(CodeRunRow, map(str, numbers))
    return list({run.reference: run for run in runs}.values())


def settle_runs(
    registry: Registry,
    runs: Sequence[CodeRunRow],
    working: WorkingConfig,
    outputs: Mapping[ProductName, tuple[Output, Path]],
    files: Mapping[str, Path],
) -> tuple[list[str], list[str]]:
    """Let what a script recorded say what its configuration says, where language APIs do not look.

    What is not to leave stays here, also if an API says that it may; a commit that is
    not what ran is none; file types are those of the configuration, and working copies
    are where those of other runs are.

    Args:
        registry: The local one.
        runs: What the script recorded.
        working: Its configuration.
        outputs: What it says is written, and where working copies of that are.
        files: Where the script left each content, by SHA-1.

    Returns:
        What was written, and remarks.

    Raises:
        ConflictError: a version existed before, with another content than the script wrote.
    """
    written: dict[ProductName, str] = {}
    with registry.writing() as session:
        for run in runs:
            row = session.get_one(CodeRun, int(run.reference))
            _settle_run(registry, session, row, working)
            written |= _outputs(session, row)
        for name, sha1 in written.items():
            if name in outputs:
                if files and sha1 not in files:
                    reason = "exists, with another content than the script wrote: give it a new version"
                    raise ConflictError(f"{name} {reason}")
                _settle_output(registry, session, name, outputs[name][0])
    for name, (_, copy) in outputs.items():
        file = files.get(written.get(name, ""))
        if file is not None and file != copy and file.is_file() and file.parent == copy.parent:
            file.replace(copy)
    notes = [f"{one.alias} was not written" for name, (one, _) in outputs.items() if name not in written]
    notes += [f"the script recorded code run {run.uuid} too" for run in runs[1:]]
    return [str(name) for name in written], notes


def _settle_run(registry: Registry, session: Session, run: CodeRun, working: WorkingConfig) -> None:
    if working.is_dirty or place_of_code(working.metadata.remote_repo) is None:
        run.code_repo_id = None
    if working.is_dirty and run.model_config_id:
        session.add(KeyValue(object_id=run.model_config_id, key="uncommitted_changes", value="true"))
    if not working.metadata.public:
        for number in (run.model_config_id, run.submission_script_id):
            _withhold(registry, session, session.get(Object, number or 0))
    session.add(run)


def _outputs(session: Session, run: CodeRun) -> dict[ProductName, str]:
    """Return the data products that a run wrote, each with the SHA-1 of its file."""
    query = (
        select(Namespace.name, DataProduct.name, DataProduct.version, StorageLocation.hash)
        .select_from(CodeRunOutput)
        .join(ObjectComponent, col(CodeRunOutput.object_component_id) == ObjectComponent.id)
        .join(Object, col(ObjectComponent.object_id) == Object.id)
        .join(DataProduct, col(DataProduct.object_id) == Object.id)
        .join(Namespace, col(DataProduct.namespace_id) == Namespace.id)
        .outerjoin(StorageLocation, col(Object.storage_location_id) == StorageLocation.id)
        .where(CodeRunOutput.code_run_id == run.id)
        .order_by(col(DataProduct.id))
    )
    return {ProductName(space, name, version): sha1 or "" for space, name, version, sha1 in session.execute(query)}


def _settle_output(registry: Registry, session: Session, name: ProductName, output: Output) -> None:
    query = select(Object).join(DataProduct).join(Namespace)
    item = session.exec(
        query.where(
            Namespace.name == name.namespace, DataProduct.name == name.name, DataProduct.version == name.version
        )
    ).one()
    kind = FileType(name=output.file_type, extension=output.file_type)
    item.file_type_id = number_of(session, kind, "extension")
    session.add(item)
    if not output.public:
        _withhold(registry, session, item)


def _withhold(registry: Registry, session: Session, item: Object | None) -> None:
    """Let the file of an object stay here."""
    place = session.get(StorageLocation, item.storage_location_id) if item and item.storage_location_id else None
    if item is not None and place is not None and place.public:
        item.storage_location_id = registry.local_location(session, place.hash, public=False)
        session.add(item)
        session.flush()
