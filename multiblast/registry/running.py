"""Running a configuration: its script or its search, and the code run that is recorded of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from multiblast.errors import FailureClass, InvalidInputError, ProgramError, StoreError
from multiblast.programs import run_program
from multiblast.registry.bindings import Binding, Secrets
from multiblast.registry.local import Registry
from multiblast.registry.recording import ProductName, author_id, record_product
from multiblast.registry.runs import Run, record_run
from multiblast.registry.working import Input, Output, Working

__all__ = ["Done", "QueryRequest", "RunQuery", "run_working"]

_RUN_ID = "${{RUN_ID}}"
_TOKEN = re.compile(r"\$\{\{\s*LOCAL_TOKEN\s*\}\}")
_SHELLS = {"R": ["R", "-f"], "pwsh": ["pwsh", "-File"], "powershell": ["powershell", "-File"],
           "batch": ["cmd", "/c"], "bash": ["bash", "-eo", "pipefail"], "sh": ["sh", "-e"]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A multiblast query that a configuration describes.

    Attributes:
        query: The FASTA file.
        reports: The report's options for each output, by what the configuration calls it.
        files: Where each output is to be written.
    """

    program: str
    query: Path
    site: str
    targets: tuple[str, ...]
    options: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Path]


# Runs the query, writes the files, and returns facts about it, such as the program's version.
RunQuery = Callable[[QueryRequest], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Done:
    """A code run that was recorded."""

    uuid: str
    outputs: tuple[str, ...]
    seconds: float
    log: str


def run_working(
    registry: Registry,
    working: Working,
    user: Binding,
    *,
    run_query: RunQuery | None = None,
    timeout_s: float = 0,
) -> Done:
    """Run a working configuration and record what was run, with what, and what came of it.

    The script finds its inputs and leaves its outputs in the data store, as
    ``NAMESPACE/NAME/VERSION.TYPE``.

    Args:
        registry: The local one.
        working: From `multiblast.registry.working.resolve`.
        user: Who runs it.
        run_query: Runs a search, if the configuration describes one.
        timeout_s: Wall-clock limit of a script in seconds; 0 is none.

    Raises:
        InvalidInputError: there is nothing to run.
        ProgramError: the script failed; nothing is recorded.
        ConflictError: an output's version exists with another content; nothing is recorded.
        StoreError: an output was not written, or an input is not here.
    """
    if working.script is None and (working.search is None or run_query is None):
        raise InvalidInputError("there is nothing to run: give run_metadata a script or a script_path, or a search")
    started = datetime.now(UTC)
    run_id = str(uuid4())
    store = Path(working.metadata.write_data_store.removeprefix("file://"))
    outputs = [_with_run_id(one, run_id) for one in working.outputs]
    for read in working.inputs:
        _place_input(registry, store, read)
    files = {one.alias: _path(store, one.name, one.file_type) for one in outputs}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    working.directory.mkdir(parents=True, exist_ok=True)
    (working.directory / "config.yaml").write_text(working.text, "utf-8")
    log = working.directory / f"{run_id}.log"
    facts: Mapping[str, str] = {}
    if working.script is not None:
        token = Secrets(registry.directory).get(f"user {user.username}")
        _run_script(working, token, run_id, log, timeout_s)
    elif working.search is not None and run_query is not None:
        facts = run_query(_request(working, store, files))
    for one in outputs:
        if not files[one.alias].is_file():
            raise StoreError(f"{one.alias} was not written: it should be {str(files[one.alias])!r}")
    _record_run(registry, working, user, run_id, started, outputs, files, facts)
    return Done(
        run_id, tuple(str(one.name) for one in outputs), (datetime.now(UTC) - started).total_seconds(), str(log)
    )


def _with_run_id(one: Output, run_id: str) -> Output:
    name = ProductName(one.name.namespace, one.name.name.replace(_RUN_ID, run_id), one.name.version)
    return Output(one.alias, name, one.file_type, one.public, one.description)


def _path(store: Path, name: ProductName, file_type: str) -> Path:
    """Return where in a data store a data product's file is."""
    path = store / name.namespace / name.name / (f"{name.version}.{file_type}" if file_type else name.version)
    if not path.resolve().is_relative_to(store.resolve()):
        raise InvalidInputError(f"{str(name)!r} leads out of the data store: give it another name")
    return path


def _place_input(registry: Registry, store: Path, one: Input) -> None:
    """Put a checked copy of an input where the script looks for it."""
    if not registry.files.holds(one.sha1):
        raise StoreError(f"the file of {one.name} is not here: pull it first")
    registry.files.copy(one.sha1, _path(store, one.name, one.file_type))


def _run_script(working: Working, token: str, run_id: str, log: Path, timeout_s: float) -> None:
    (working.directory / working.script_name).write_text(_script_text(working), "utf-8")
    # What is run may have the token in it; what is kept has not.
    private = working.directory / f"{run_id}.{working.script_name}"
    text = _TOKEN.sub(lambda _: token, working.filled(_script_text(working))).replace(_RUN_ID, run_id)
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    repository = working.repository.root
    name, *flags = working.metadata.shell.split()
    program, *rest = _SHELLS.get(name, [name])
    command = ["env", "-C", str(repository), program, *flags, *rest, str(private)]
    environment = {
        "FDP_CONFIG_DIR": str(working.directory),
        "FDP_CONFIG_NAME": "config.yaml",
        "FDP_DATA_STORE": working.metadata.write_data_store,
        "FDP_LOCAL_REPO": str(repository),
        "FDP_LOCAL_TOKEN": token,
        "FDP_SCRIPT": str(working.directory / working.script_name),
    }
    try:
        run_program(command, stdout=log, environment=environment, timeout_s=timeout_s)
    except ProgramError as error:
        known = (FailureClass.TIME_LIMIT, FailureClass.KILLED, FailureClass.OUT_OF_MEMORY, FailureClass.CANCELLED)
        why = error.failure_class if error.failure_class in known else FailureClass.UNKNOWN
        raise ProgramError([name, str(private)], error.exit_code, error.stderr, why) from error
    finally:
        private.unlink(missing_ok=True)


def _script_text(working: Working) -> str:
    return working.script or ""


def _request(working: Working, store: Path, files: Mapping[str, Path]) -> QueryRequest:
    search = working.search
    if search is None:
        raise InvalidInputError("there is no search to run")
    query = next(one for one in working.inputs if one.alias == search.query)
    return QueryRequest(
        program=search.program,
        query=_path(store, query.name, query.file_type),
        site=search.site,
        targets=search.targets,
        options=search.options,
        reports=search.reports,
        files={alias: files[alias] for alias in search.reports},
    )


def _record_run(  # noqa: PLR0913, PLR0917 - the facts of a run
    registry: Registry,
    working: Working,
    user: Binding,
    run_id: str,
    started: datetime,
    outputs: Sequence[Output],
    files: Mapping[str, Path],
    facts: Mapping[str, str],
) -> None:
    metadata = working.metadata
    script = _script_text(working) or f"multiblast {working.search.program if working.search else ''}\n"
    with registry.transaction(), registry.session() as session:
        author = author_id(session, user.username, user.identifier if "://" in user.identifier else None)
        made = [
            record_product(
                registry,
                one.name,
                files[one.alias],
                file_type=one.file_type,
                description=one.description,
                public=one.public,
                authors=[author],
            )
            for one in outputs
        ]
        run = Run(
            uuid=run_id,
            at=started,
            description=metadata.description or f"run of {metadata.latest_commit or 'a script'}",
            config=working.text,
            script=script,
            script_type=working.script_name.rpartition(".")[2] if working.script is not None else "txt",
            repository=metadata.remote_repo or working.repository.remote,
            commit=metadata.latest_commit,
            public=metadata.public,
            author=author,
            inputs=[one.object_id for one in working.inputs],
            outputs=[one.object_id for one in made],
            facts=facts,
        )
        record_run(registry, session, run)
