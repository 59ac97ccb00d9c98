"""Running a configuration: its script or its search, and the code run that is recorded of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from multiblast.errors import ConflictError, FailureClass, InvalidInputError, ProgramError, StoreError
from multiblast.programs import Program
from multiblast.registry.api.addresses import PORT, api_address
from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.config.schema import SearchEntry
from multiblast.registry.config.searches import DatabaseFile, QueryRequest, QueryRunner, SearchRecord, shell_script
from multiblast.registry.config.working_config import Input, Output, WorkingConfig, examine, resolve
from multiblast.registry.local.data_store import product_path
from multiblast.registry.local.records import CodeRunFacts, record_product, record_run, user_author_id
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.local.unfinished import UnfinishedRun, undo_killed_runs
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.model.rows import CodeRunRow
from multiblast.registry.runs.blast_jobs import record_database, record_making
from multiblast.registry.runs.script_records import CODE_RUNS, recorded_runs, settle_runs
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary

_UNCOMMITTED = "the code has changes that are not committed: commit them, or run it with --dirty, which is recorded"
_NOTHING_TO_RUN = "there is nothing to run: give run_metadata a script or a script_path, or a search"
_RUN_ID = "${{RUN_ID}}"
_TOKEN = re.compile(r"\$\{\{\s*LOCAL_TOKEN\s*\}\}")
_SHELLS = {"R": ["R", "-f"], "pwsh": ["pwsh", "-File"], "powershell": ["powershell", "-File"],
           "batch": ["cmd", "/c"], "bash": ["bash", "-eo", "pipefail"], "sh": ["sh", "-e"]}  # fmt: skip


# The script has nothing to do with these; every other exit code means what the script means by it.
_OF_ANY_PROGRAM = {
    FailureClass.TIME_LIMIT,
    FailureClass.KILLED,
    FailureClass.CRASHED,
    FailureClass.OUT_OF_MEMORY,
    FailureClass.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A code run that was recorded.

    Attributes:
        notes: What is remarkable about it.
    """

    uuid: str
    outputs: tuple[str, ...]
    seconds: float
    log: str
    notes: tuple[str, ...] = ()


# Serves the API during a block, and gives its address: such as `web.registry.serving.serving`.
ApiServer = Callable[[LocalApi], AbstractContextManager[str]]


def generate(  # noqa: PLR0913 - what, where to, and how
    config: Path,
    target: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
) -> WorkingConfig:
    """Write the working configuration alone; a dry run only returns it.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    working = resolve(config, registry, user, now, queries=queries)
    if not dry_run:
        target.write_text(working.text, "utf-8")
    return working


def run(  # noqa: PLR0913 - what, by whom, and how
    config: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    server: ApiServer | None = None,
    timeout_s: float = 0,
    now: datetime | None = None,
    dirty: bool = False,
) -> RunSummary:
    """Resolve a configuration, run it, and record what was run, with what, and what came of it.

    The script finds its inputs and leaves its outputs in the data store, as
    ``NAMESPACE/NAME/VERSION.TYPE``. Or it records its code run itself, through the
    registry's API, as the language APIs of FAIR do: then that is the run, and its files
    are taken into the registry's store.

    Args:
        config: The configuration.
        registry: The local one.
        user: Who runs it.
        queries: Runs a query, if the configuration describes one: `Services.registered_queries`.
        server: Lets the script reach the registry; without one, it cannot.
        timeout_s: Wall-clock limit of a script in seconds; 0 is none.
        now: The time that variables stand for.
        dirty: Run code with uncommitted changes too; no commit is recorded then.

    Raises:
        InvalidInputError: the configuration, with all problems; or there is nothing to run.
        ProgramError: the script failed; nothing is recorded.
        ConflictError: the code has uncommitted changes, or an output's version exists with another content;
            nothing is recorded.
        StoreError: an output was not written, or an input is not here.
    """
    working = resolve(config, registry, user, now, queries=queries)
    if working.script is None and (working.search is None or queries is None):
        raise InvalidInputError(_NOTHING_TO_RUN)
    if working.is_dirty and not dirty:
        raise ConflictError(_UNCOMMITTED)
    attempt = _Execution(registry, working, user)
    if working.script is not None:
        return attempt.script(working.script, server or _no_server, timeout_s)
    attempt.prepare()
    if working.search is not None and queries is not None:
        attempt.record(queries.run(attempt.request(working.search)))
    return attempt.done()


@contextmanager
def _no_server(_api: LocalApi) -> Iterator[str]:
    yield api_address()


def plan_run(  # noqa: PLR0913 - as run
    config: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    now: datetime | None = None,
    dirty: bool = False,
) -> TransferSummary:
    """Return what `run` would do: what is run, which inputs are here and which are not, what comes of it.

    Raises:
        InvalidInputError: what is wrong with the configuration, whatever there is in the registry.
    """
    started = time.monotonic()
    working, problems = examine(config, registry, user, now, queries=queries)
    here = registry.files.holding(one.sha1 for one in working.inputs)
    summary = TransferSummary([_task(working)])
    if working.is_dirty and not dirty:
        summary.outcomes.append(Outcome("code", ItemResult.FAILED, _UNCOMMITTED))
    for one in working.inputs:
        if not one.has_file:
            summary.outcomes.append(Outcome(str(one.name), ItemResult.KNOWN, f"read as {one.alias}, which has no file"))
        elif kept := here.get(one.sha1):
            summary.outcomes.append(Outcome(str(one.name), ItemResult.KNOWN, f"read as {one.alias}", kept.size_bytes))
        else:
            summary.outcomes.append(Outcome(str(one.name), ItemResult.FAILED, "its file is not here: pull it first"))
    summary.outcomes += [Outcome(one.key, ItemResult.FAILED, f"line {one.line}: {one.message}") for one in problems]
    summary.outcomes += [
        Outcome(str(one.name), ItemResult.PLANNED, f"written as {one.alias}") for one in working.outputs
    ]
    summary.seconds = time.monotonic() - started
    return summary


def _task(working: WorkingConfig) -> Outcome:
    """Return what would be run."""
    search = working.search
    if working.script is not None:
        return Outcome("script", ItemResult.PLANNED, f"{working.metadata.shell}: {working.script.strip()}")
    if search is None:
        return Outcome("script", ItemResult.FAILED, _NOTHING_TO_RUN)
    targets = [f"{name} ({search.fingerprints.get(name, 'not found')})" for name in search.targets]
    return Outcome(
        "search",
        ItemResult.PLANNED,
        f"{search.program} of {search.query} in {', '.join([*targets, *search.databases])}",
    )


class _Execution:
    """One run of a working configuration."""

    def __init__(self, registry: Registry, working: WorkingConfig, user: RegistryUser) -> None:
        self._registry, self._working, self._user = registry, working, user
        self._started = datetime.now(UTC)
        self._run_id = str(uuid4())
        self._store = Path(working.metadata.write_data_store.removeprefix("file://"))
        self._outputs = [
            replace(one, name=replace(one.name, name=one.name.name.replace(_RUN_ID, self._run_id)))
            for one in working.outputs
        ]
        self._files = {one.alias: product_path(self._store, one.name, one.file_type) for one in self._outputs}
        self._log = working.directory / f"{self._run_id}.log"
        self._copied = [one for one in working.inputs if one.has_file]
        copies = {one.sha1: self._place(one).relative_to(self._store) for one in self._copied}
        self._api = LocalApi(registry, user, str(self._store), copies)
        self._hints: list[str] = []  # why a script may have failed

    def script(self, script: str, server: ApiServer, timeout_s: float) -> RunSummary:
        """Run the script, and record the code run unless it did so itself; nothing is recorded if it fails."""
        undo_killed_runs(self._registry)
        newest = self._registry.newest("code_run")
        unfinished = self._api.unfinished = UnfinishedRun(self._registry, self._run_id)
        try:
            with server(self._api) as address:
                if address != api_address():
                    self._hints.append(f"port {PORT} is taken: DataPipeline.jl looks for the registry there only")
                text = self.prepare(address)
                self.run_script(script, timeout_s)
            found = recorded_runs(self._registry, self._working.directory, text, newest)
            if not found:
                self.record(None)
            done = self._accept(found) if found else self.done()
        except BaseException:
            unfinished.undo()
            raise
        unfinished.keep()
        return done

    def _accept(self, runs: list[CodeRunRow]) -> RunSummary:
        """Take what the script recorded for what was run."""
        outputs = {one.name: (one, self._files[one.alias]) for one in self._outputs}
        written, notes = settle_runs(self._registry, runs, self._working, outputs, self._api.locations.files)
        seconds = (datetime.now(UTC) - self._started).total_seconds()
        return RunSummary(runs[0].uuid, tuple(written), seconds, str(self._log), tuple(notes))

    def prepare(self, address: str = "") -> str:
        """Put checked copies of all inputs where they are looked for, and make the directories of all outputs.

        Return the configuration that is there then, with the address of the registry's API in it.
        """
        for one in self._copied:
            if not self._registry.files.holds(one.sha1):
                raise StoreError(f"the file of {one.name} is not here: pull it first")
            self._registry.files.copy(one.sha1, self._place(one))
        for directory in (self._store, *(path.parent for path in self._files.values())):
            directory.mkdir(parents=True, exist_ok=True)
        self._working.directory.mkdir(parents=True, exist_ok=True)
        (self._working.directory / CODE_RUNS).unlink(missing_ok=True)
        text = self._working.text_at(address) if address else self._working.text
        (self._working.directory / "config.yaml").write_text(text, "utf-8")
        return text

    def run_script(self, script: str, timeout_s: float) -> None:
        """Run the script, with its log beside its configuration."""
        working = self._working
        token = Secrets(self._registry.directory).get(f"user {self._user.username}")
        (working.directory / working.script_name).write_text(script, "utf-8")
        # What is run may have the token in it; what is kept has not.
        private = working.directory / f"{self._run_id}.{working.script_name}"
        if self._api.unfinished:
            self._api.unfinished.note_path(private)
        text = _TOKEN.sub(lambda _: token, working.filled(script)).replace(_RUN_ID, self._run_id)
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
            Program(command, stdout=self._log, environment=environment, timeout_s=timeout_s).run()
        except ProgramError as error:
            why = error.failure_class if error.failure_class in _OF_ANY_PROGRAM else FailureClass.UNKNOWN
            refused = [f"the registry refused {one}" for one in self._api.refusals]
            stderr = "\n".join([error.stderr, *self._hints, *refused])
            raise ProgramError([name, str(private)], error.exit_code, stderr.strip(), why) from error
        finally:
            private.unlink(missing_ok=True)

    def request(self, search: SearchEntry) -> QueryRequest:
        """Return what is to be searched, and where its reports go."""
        query = next(one for one in self._working.inputs if one.alias == search.query)
        return QueryRequest(
            user=self._user.username,
            search=search,
            query=self._place(query),
            databases={
                one.alias: DatabaseFile(self._place(one), one.sha1, str(one.name))
                for one in self._working.inputs
                if one.alias in search.databases
            },
            files={alias: self._files[alias] for alias in search.reports},
        )

    def _place(self, one: Input) -> Path:
        return product_path(self._store, one.name, one.file_type)

    def record(self, searched: SearchRecord | None) -> None:
        """Record the outputs and the code run, all or nothing."""
        missing = next((one for one in self._outputs if not self._files[one.alias].is_file()), None)
        if missing is not None:
            raise StoreError(f"{missing.alias} was not written: it should be {str(self._files[missing.alias])!r}")
        working, metadata, user = self._working, self._working.metadata, self._user
        with self._registry.transaction(), self._registry.session() as session:
            author = user_author_id(session, user.username)
            databases, made_of = (searched.databases, searched.made) if searched else ({}, {})
            run = CodeRunFacts(
                uuid=self._run_id,
                at=self._started,
                description=metadata.description,
                config=working.text,
                script=shell_script(searched.commands) if searched else working.script or "",
                script_type="sh" if searched else working.script_name.rpartition(".")[2],
                repository=metadata.remote_repo,
                commit="" if working.is_dirty else metadata.latest_commit,
                public=metadata.public,
                author=author,
                inputs=[
                    *(one.object_id for one in working.inputs),
                    *(record_database(session, *one) for one in sorted(databases.items())),
                ],
                outputs=[self._record_output(one, author) for one in self._outputs],
                facts=(searched.facts if searched else {})
                | ({"uncommitted_changes": "true"} if working.is_dirty else {}),
            )
            record_run(self._registry, session, run)
            objects = {one.alias: one.object_id for one in working.inputs}
            for name, made in made_of.items():
                record_making(
                    self._registry, session, made, objects[made.product], (name, databases[name]), author,
                    self._started, public=metadata.public,
                )  # fmt: skip

    def _record_output(self, one: Output, author: int) -> int:
        recorded = record_product(
            self._registry, one.name, self._files[one.alias], file_type=one.file_type, description=one.description,
            public=one.public, authors=[author],
        )  # fmt: skip
        return recorded.object_id

    def done(self) -> RunSummary:
        """Return what came of it."""
        seconds = (datetime.now(UTC) - self._started).total_seconds()
        return RunSummary(self._run_id, tuple(str(one.name) for one in self._outputs), seconds, str(self._log))
