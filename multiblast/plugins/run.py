"""A run of a plugin job: one round after the other, each kept when it has ended, so that none is done twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from multiblast.coupling import Reference, StoreCoupling
from multiblast.database import JobStatus, PluginJob
from multiblast.errors import ConflictError, InvalidInputError, JobFailedError, Problem, ProgramError
from multiblast.files import working_space
from multiblast.jobs import ACTIVE
from multiblast.object_kinds import ObjectKind
from multiblast.outages import is_outage
from multiblast.plugins.rounds import Call, GivenFile, MadeOutput, PluginError, Progress, RoundEnd, RoundRequest
from multiblast.plugins.rounds import run_round as run_program
from multiblast.plugins.state import open_state
from multiblast.plugins.workshop import Workshop
from multiblast.programs import throttled
from multiblast.results import Results, new_holder

_SHOW_EVERY_S = 0.5
_LONGEST_LOG = 65_536
_POLL_S = 0.5

OnNote = Callable[[Progress | str], None]


@dataclass(frozen=True, slots=True)
class Stop:
    """How a round ended: ``done``, or with a question to a person (``ask``), or to another plugin (``call``).

    Attributes:
        step: The id of the question.
        form: What a person fills in, as a plugin's table describes parameters.
        call: What another plugin is to do.
    """

    number: int
    end: str
    step: str = ""
    title: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class PluginRun:
    """One run of a plugin job, from its next round to its end.

    Attributes:
        run_id: The id of whatever runs it, for the job's history.
        coupling: How files reach the plugin, if this run says so.
        note: Called with each progress and line of log that the plugin reports.
    """

    workshop: Workshop
    job_id: str
    run_id: str = ""
    coupling: str = ""
    note: OnNote | None = None
    _holder: str = field(default="", init=False)
    _held: ExitStack = field(default_factory=ExitStack, init=False, repr=False)

    def begin(self) -> bool:
        """Note that the job runs now, once no other run is at it, and hold it; return whether anything is left to do.

        It is held until `close`.

        Raises:
            ConflictError: it is paused, since a person was asked something.
        """
        while True:
            job = self._job()
            if job.status == JobStatus.QUEUED:
                if self._take():
                    if self.workshop.jobs.move_plugin(self.job_id, JobStatus.IN_PROGRESS, run_id=self.run_id):
                        return True
                    self.close()
            elif job.status == JobStatus.PAUSED:
                raise ConflictError(
                    f"plugin job {job.id} waits for an answer to step {job.rounds[-1]['step']!r}: give it"
                )
            elif job.status != JobStatus.IN_PROGRESS:
                return False
            elif self._take():  # it is this run's already, or that of a process that has died
                return True
            time.sleep(_POLL_S)

    def _take(self) -> bool:
        """Hold the job, so that it is seen to be worked at; return False while another run still does."""
        if self._holder:
            return True
        results, holder = Results(self.workshop.database, self.workshop.store), new_holder()
        if self.job_id not in results.claim([self.job_id], holder).mine:
            return False
        self._held.enter_context(results.keep_leases_alive(holder))
        self._holder = holder
        return True

    def close(self) -> None:
        """Let go of the job."""
        self._held.close()
        self._holder = ""

    def stopped_at(self) -> Stop | None:
        """Return how the last round ended, if it waits for an answer that is not there yet."""
        rounds = self._job().rounds
        if rounds and rounds[-1]["end"] != "done" and rounds[-1]["answers"] is None:
            return _stop(rounds[-1])
        return None

    def next_number(self) -> int:
        """Return the 1-based number of the next round."""
        return len(self._job().rounds) + 1

    def is_over(self, number: int) -> bool:
        """Return whether a round has ended."""
        return len(self._job().rounds) >= number

    @working_space()
    def round(self, number: int) -> Stop:
        """Do a round, unless it was done before; return how it ended.

        Raises:
            PluginError: the plugin failed.
            ConflictError: the plugin is another one than when the job was recorded.
        """
        job = self._job()
        if len(job.rounds) >= number:
            return _stop(job.rounds[number - 1])
        plugin, environment = self.workshop.plugin(job)
        by = self.workshop.coupled(plugin.name, self.coupling)
        with TemporaryDirectory(prefix="plugin-") as name:
            directory = Path(name) / "work"
            request, noted = self._request(job, by, Path(name)), _Noted(self, job)
            try:
                ended = run_program(
                    plugin,
                    environment.python,
                    request,
                    directory,
                    sandbox=self.workshop.sandbox,
                    database=open_state(plugin, environment.python, self.workshop.sandbox),
                    cancelled=throttled(lambda: self._job().status not in ACTIVE),
                    note=noted.note,
                )
            finally:
                noted.write()
            return self._keep(job, number, ended, by, directory)

    def answer(self, number: int, answers: Mapping[str, Any], *, child: str = "") -> None:
        """Keep what another plugin answered to the question with which a round ended.

        Raises:
            ConflictError: the job was cancelled meanwhile.
        """
        rounds = answered(self._job().rounds, number, answers, child)
        if not self.workshop.jobs.change_plugin(self.job_id, JobStatus.IN_PROGRESS, None, rounds=rounds):
            raise ConflictError(f"plugin job {self.job_id} was cancelled while it ran")

    def fail(self, error: BaseException) -> None:
        """Note that the run ended in an error; what finished rounds made stays. Of an outage, nothing is noted."""
        if is_outage(error):
            return
        stderr = error.stderr if isinstance(error, PluginError | ProgramError) else ""
        status = self._job().status
        if status in ACTIVE:
            why = str(error) or type(error).__name__
            cancelled = isinstance(error, KeyboardInterrupt)
            to = JobStatus.CANCELLED if cancelled else JobStatus.FAILED
            self.workshop.jobs.move_plugin(self.job_id, to, why, run_id=self.run_id, stderr=stderr)

    def ended(self) -> PluginJob:
        """Return the job, which must be complete.

        Raises:
            JobFailedError: it is not.
        """
        job = self._job()
        if job.status != JobStatus.COMPLETE:
            raise JobFailedError(job.id, job.status, job.reason)
        return job

    def _job(self) -> PluginJob:
        return self.workshop.jobs.plugin(self.job_id)

    def _request(self, job: PluginJob, by: StoreCoupling, directory: Path) -> RoundRequest:
        """Fetch what the plugin needs for its next round."""
        inputs: dict[str, tuple[GivenFile, ...]] = {}
        for number, one in enumerate(job.inputs):
            inputs[one["port"]] = (*inputs.get(one["port"], ()), _given(one, by, directory / "inputs" / str(number)))
        parameters, secrets = self._parameters(job)
        state = job.rounds[-1]["state"] if job.rounds else None
        return RoundRequest(
            number=len(job.rounds) + 1,
            inputs=inputs,
            parameters=parameters,
            threads=self.workshop.threads,
            answers={one["step"]: self._answers(one, by, directory / "answers") for one in job.rounds},
            secrets=secrets,
            state=by.fetch(_tree(state), directory / "before") if state else None,
        )

    def _parameters(self, job: PluginJob) -> tuple[dict[str, Any], dict[str, str]]:
        """Return all parameters, those that were left out with their defaults; and texts of secrets by themselves."""
        declared = self.workshop.catalogue.get(f"{job.plugin}@{job.version}").description.parameters
        given = {name: one.default for name, one in declared.items() if one.default is not None}
        given |= job.recipe["parameters"]
        names = {name for name, one in declared.items() if one.type == "secret" and given.get(name)}
        for name in names:
            check_secret(job.plugin, str(given[name]), f"parameters.{name}")
        secrets = {name: self.workshop.secret(str(given[name])) for name in names}
        return {name: value for name, value in given.items() if name not in names}, secrets

    def _answers(self, round_: Mapping[str, Any], by: StoreCoupling, directory: Path) -> Any:
        """Return what was answered to a question; of another plugin, where its outputs are."""
        if round_["end"] != "call":
            return round_["answers"]
        ports: dict[str, list[str]] = {}
        for number, one in enumerate(self.workshop.jobs.plugin(round_["job"]).outputs):
            given = _given({**one, "url": f"store:{one['key']}"}, by, directory / f"{round_['number']}-{number}")
            ports.setdefault(one["port"], []).append(str(given.path))
        return {"outputs": ports}

    def _keep(self, job: PluginJob, number: int, ended: RoundEnd, by: StoreCoupling, directory: Path) -> Stop:
        """Keep what a round made, then note that it has ended."""
        prefix = ObjectKind.PLUGIN_OUTPUT.spread_key(job.id, f"/{number}")
        outputs = [self._push(one, f"{prefix}/{place}", by) for place, one in enumerate(ended.outputs, 1)]
        before = {(one["port"], one["name"]): one for one in job.outputs}
        kept = list((before | {(one["port"], one["name"]): one for one in outputs}).values())
        round_: dict[str, Any] = {"number": number, "end": "done", "step": "", "title": "", "form": {}, "answers": None}
        round_ |= {"job": "", "call": {}, "state": None, "seconds": round(ended.seconds, 3)}
        if ended.ask is not None:
            form = {name: one.model_dump(mode="json") for name, one in ended.ask.parameters.items()}
            round_ |= {"end": "ask", "step": ended.ask.step, "title": ended.ask.title, "form": form}
        elif ended.call is not None:
            round_ |= {"end": "call", "step": ended.call.step, "call": self._called(ended.call, prefix, by)}
        if round_["end"] != "done" and any((directory / "state").iterdir()):
            state = by.push(directory / "state", f"{prefix}/state")
            round_["state"] = {"url": state.url, "sha256": state.sha256}
        values: dict[str, Any] = {"rounds": [*job.rounds, round_], "outputs": kept, "stderr": ended.stderr}
        values["command"] = list(ended.command)
        jobs, to = self.workshop.jobs, {"done": JobStatus.COMPLETE, "ask": JobStatus.PAUSED}.get(round_["end"])
        why = ended.ask.title if ended.ask else ""
        if not jobs.change_plugin(job.id, JobStatus.IN_PROGRESS, to, why, run_id=self.run_id, **values):
            raise ConflictError(f"plugin job {job.id} was cancelled while it ran")
        return _stop(round_)

    def _push(self, made: MadeOutput, key: str, by: StoreCoupling) -> dict[str, Any]:
        by.push(made.path, key)
        return {
            "port": made.port,
            "name": made.name,
            "key": key,
            "sha256": made.sha256,
            "size": made.size_bytes,
            "data": made.data,
            "content": made.content,
            "directory": made.is_directory,
        }

    def _called(self, call: Call, prefix: str, by: StoreCoupling) -> dict[str, Any]:
        """Keep the files that another plugin is to take in."""
        inputs = {
            port: [by.push(path, f"{prefix}/call/{port}/{number}").url for number, path in enumerate(paths, 1)]
            for port, paths in call.inputs.items()
        }
        return {"plugin": call.plugin, "inputs": inputs, "parameters": dict(call.parameters)}


def answered(
    rounds: Sequence[Mapping[str, Any]], number: int, answers: Mapping[str, Any], child: str = ""
) -> list[dict[str, Any]]:
    """Return rounds with what was answered to the question of one of them, a 1-based number."""
    kept = [dict(one) for one in rounds]
    kept[number - 1] |= {"answers": dict(answers), "job": child}
    return kept


def check_secret(plugin: str, name: str, key: str) -> None:
    """Refuse a secret that is not meant for a plugin: else anybody could have it read any of the server's."""
    if not name.startswith(f"plugin-{plugin}-"):
        reason = f"{name!r} is not for this plugin: name a Secret block that begins with plugin-{plugin}-"
        raise InvalidInputError(Problem(reason, key))


class _Noted:
    """Writes what a plugin reports into its job's row, now and then, and passes it on."""

    def __init__(self, run: PluginRun, job: PluginJob) -> None:
        self._run, self._log, self._progress, self._at = run, job.log, job.progress, 0.0

    def note(self, what: Progress | str) -> None:
        """Take a progress or a line of log."""
        is_first = isinstance(what, Progress) and not self._progress
        if isinstance(what, str):
            self._log = f"{self._log}{what.rstrip()}\n"[-_LONGEST_LOG:]
        else:
            self._progress = {"value": what.value, "start": what.start, "target": what.target, "unit": what.unit}
        if is_first or time.monotonic() - self._at > _SHOW_EVERY_S:
            self.write()
        if self._run.note is not None:
            self._run.note(what)

    def write(self) -> None:
        """Write what was taken so far."""
        self._at = time.monotonic()
        self._run.workshop.jobs.note_plugin(self._run.job_id, log=self._log, progress=self._progress)


def _stop(round_: Mapping[str, Any]) -> Stop:
    return Stop(
        round_["number"], round_["end"], round_["step"], round_["title"], round_["form"], round_.get("call") or {}
    )


def _given(one: Mapping[str, Any], by: StoreCoupling, directory: Path) -> GivenFile:
    directory.mkdir(parents=True)
    reference = Reference(one["url"], one["sha256"], is_directory=bool(one.get("directory")), name=one["name"])
    return GivenFile(by.fetch(reference, directory), one["name"], one["data"], one["content"])


def _tree(state: Mapping[str, str]) -> Reference:
    return Reference(state["url"], state["sha256"], is_directory=True, name="state")
