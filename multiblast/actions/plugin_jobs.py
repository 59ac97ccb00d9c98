"""The door of plugin jobs: every action on them, where rights are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from multiblast.accounts import Accounts, Requester
from multiblast.accounts.job_rights import first_owner
from multiblast.actions.answers import (
    CreatedPlugin,
    Errors,
    PluginDetails,
    PluginFile,
    PluginItem,
    UserMeta,
)
from multiblast.actions.catalogue import action
from multiblast.actions.job_door import JobDoor, check_complete
from multiblast.actions.plugin_details import plugin_details
from multiblast.actions.plugin_inputs import PluginInputs
from multiblast.actions.plugin_sources import NOWHERE
from multiblast.actions.requests import read_create_plugin
from multiblast.actions.stored_file import StoredDirectory, StoredFile
from multiblast.actions.written_outputs import DirectoryOutput, FileOutput, write_outputs
from multiblast.database import JobKind, JobStatus, PluginJob
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem, collecting
from multiblast.ids import digest
from multiblast.jobs import OPEN, RESTARTABLE
from multiblast.plugins.given_values import checked_parameters, checked_values
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.run import OnNote, PluginRun, Stop, answered
from multiblast.plugins.workshop import Workshop
from multiblast.reports.run import is_long_ago
from multiblast.upkeep import Notices
from multiblast.upkeep.reconciliation import Waiting

Inputs = Mapping[str, Sequence[str]] | Sequence[str]


class PluginJobs(JobDoor):
    """Every action on plugin jobs, and the runs that do them.

    Attributes:
        inputs: Finds what texts stand for that name inputs.
    """

    def __init__(self, workshop: Workshop, inputs: PluginInputs, accounts: Accounts, notices: Notices) -> None:
        super().__init__(JobKind.PLUGIN, workshop.database, workshop.jobs, accounts)
        self.workshop = workshop
        self.inputs = inputs
        self._notices = notices

    @action("create", flow="run-plugin", command="plugins run")
    def create(self, requester: Requester, config: Mapping[str, Any]) -> CreatedPlugin:
        """Record a plugin job from a request in the form of the HTTP API; the same request finds the same job.

        Args:
            requester: The person who makes the request; the job is added to their list unless the request opts out.
            config: ``{"plugin", "inputs"?, "parameters"?, "addToUserCollection"?, "userMeta"?}``.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            NotFoundError: there is no such plugin.
            NotAllowedError: an input is a job that they may not read.
            ConflictError: an input is a job that is not complete.
        """
        wanted = read_create_plugin(config)
        self._accounts.check_submitter(requester, has_link=wanted["add_to_collection"])
        return CreatedPlugin(plugin_job_id=self.submit(requester, files_under=NOWHERE, **wanted))

    def submit(  # noqa: PLR0913 - a job, and what is noted about it
        self,
        requester: Requester,
        plugin: str,
        inputs: Inputs = (),
        parameters: Mapping[str, Any] | None = None,
        *,
        add_to_collection: bool = True,
        summary: str = "",
        description: str = "",
        notify: str = "",
        files_under: Path | None = None,
    ) -> str:
        """Check a request, then record its job and return its id; the same request finds the same job.

        Args:
            requester: Who makes the request.
            plugin: ``NAME`` of the newest version, or ``NAME@VERSION``.
            inputs: Texts by port, or texts alone: see `multiblast.actions.plugin_sources`.
            parameters: By name; those left out have their defaults.
            add_to_collection: Whether the job is added to the requester's list.
            summary: One line about it.
            description: More about it.
            notify: A URL to notify of how it ends; empty for none.
            files_under: The only directory that paths may lead into; None allows any path.

        Raises:
            InvalidInputError: with every problem, by key; nothing was recorded.
            NotFoundError: there is no such plugin, or no job that is an input.
            LimitError: the requester has as much as they may have for now.
            MultiblastError: the plugin is not installed; the message says how to install it.
        """
        if notify:
            self._notices.check(notify)
        found = self.workshop.catalogue.get(plugin)
        if found.description.search is not None:
            raise InvalidInputError(Problem(f"{found.name} searches: choose it as the program of a search", "plugin"))
        problems: list[Problem] = []
        chosen: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        texts: dict[str, list[str]] = {}
        with collecting(problems):
            chosen = checked_parameters(found, parameters or {})
        with collecting(problems):
            rows, texts = self.inputs.resolve(requester, found.description, inputs, files_under=files_under)
        if problems:
            raise InvalidInputError(problems)
        owner = requester.owner if add_to_collection else ""
        with self._accounts.usage.count_submission(requester, lambda: 0):
            job_id = self.workshop.record(found, chosen, texts, rows, owner, summary=summary, description=description)
        if notify:
            self._notices.subscribe(job_id, notify)
        return job_id

    def submit_for(
        self, owner: str, plugin: str, inputs: Inputs, parameters: Mapping[str, Any] | None = None, *, caller: str = ""
    ) -> str:
        """Record a job whose inputs come of jobs before it, and put it into the list of an owner.

        Args:
            owner: Who was allowed to have it done when they submitted the first of these.
            plugin: ``NAME`` of the newest version, or ``NAME@VERSION``.
            inputs: See `submit`.
            parameters: By name.
            caller: The job that hands over files of its own as inputs, if one does.

        Raises:
            InvalidInputError: the plugin does not take these.
            NotFoundError: there is no such plugin, or no such job.
            MultiblastError: the plugin is not installed.
        """
        found = self.workshop.catalogue.get(plugin)
        rows, texts = self.inputs.resolve(Requester(administrator=True), found.description, inputs)
        if caller:
            rows = [{**row, "job": caller} for row in rows]
        return self.workshop.record(found, checked_parameters(found, parameters or {}), texts, rows, owner)

    def called(self, parent: str, stop: Stop) -> str:
        """Record the job that another plugin job calls for in a round, with the files that it hands over.

        Raises:
            InvalidInputError: the plugin that is called does not take these.
            NotFoundError: there is no such plugin.
        """
        caller, call = self.jobs.plugin(parent), stop.call
        if call["plugin"] not in caller.facts["needs"]:
            reason = f"{caller.plugin} may call what its table needs, by the need's name"
            raise NotFoundError("plugin", call["plugin"], reason)
        plugin, owner = caller.facts["needs"][call["plugin"]], first_owner(self._database, parent)
        return self.submit_for(owner, plugin, call["inputs"], call["parameters"], caller=parent)

    def run(self, job_id: str, *, run_id: str = "", coupling: str = "") -> PluginRun:
        """Return a run of a recorded job, for whatever executes jobs; ``run_id`` is noted in the job's history."""
        return PluginRun(self.workshop, job_id, run_id=run_id, coupling=coupling)

    def execute(self, job_id: str, *, note: OnNote | None = None) -> PluginJob:
        """Run a job in this process to its end, with the jobs that it calls for.

        Args:
            job_id: The job.
            note: Called with each progress and line of log that the plugin reports.

        Raises:
            JobFailedError: it is not complete, perhaps since a person is to answer.
        """
        run = self.run(job_id)
        run.note = note
        with closing(run):
            if run.begin():
                try:
                    while (stop := run.stopped_at() or run.round(run.next_number())).end == "call":
                        child = self.called(job_id, stop)
                        self.execute(child, note=note)
                        run.answer(stop.number, {}, child=child)
                except BaseException as error:
                    run.fail(error)
                    raise
        return run.ended()

    def begin(self, job_id: str) -> Waiting | None:
        """Queue a submitted job, unless it has its outputs, runs or is paused: see `Queries.begin`."""
        job = self.jobs.plugin(job_id)
        if job.status in {JobStatus.IN_PROGRESS, JobStatus.PAUSED} or (
            job.status == JobStatus.COMPLETE and self.workshop.is_made(job)
        ):
            return None
        if job.status != JobStatus.QUEUED:
            self.workshop.renew(job, "submitted again")
        return self.waiting(job_id)

    @action("list", columns=("pluginJobID", "plugin", "status", "summary"))
    def list_jobs(  # noqa: PLR0913 - filters
        self,
        requester: Requester,
        *,
        plugin: str = "",
        source: str = "",
        status: str = "",
        first: int = 1,
        count: int = 50,
    ) -> list[PluginItem]:
        """List the requester's plugin jobs, newest first; to an administrator without a name, all.

        Args:
            requester: Whose list.
            plugin: Only jobs of this plugin.
            source: Only jobs with an output of this job as input: its id, or job:ID.
            status: Only jobs of this status.
            first: Where in the list to begin, 1-based.
            count: How many at most; 0 is all.
        """
        source = source.rpartition(":")[2]  # as inputs are written, too
        filters = {"plugin": plugin, "source": source, "status": status}
        return [
            PluginItem(
                plugin_job_id=job.id,
                plugin=f"{job.plugin}@{job.version}",
                status=job.status,
                created_on=job.created_at,
                user_meta=UserMeta.of(link),
            )
            for job, link in self._listed(PluginJob, requester, filters, first=first, count=count)
        ]

    @action("show")
    def lookup(self, requester: Requester, job_id: str, *, link: bool = True) -> PluginDetails:
        """Look up a plugin job with its inputs and outputs, and add it to the requester's list.

        Args:
            requester: The person who makes the request.
            job_id: The plugin job.
            link: Whether to add it to the requester's list.
        """
        meta = self._look_up(requester, job_id, link=link)
        return plugin_details(self.jobs.plugin(job_id), meta, self.workshop.catalogue)

    @action("restart", flow="restart-job", command="plugins restart")
    def restart(self, requester: Requester, job_id: str) -> CreatedPlugin:
        """Let an expired, failed or cancelled job be done again, with what its inputs are now.

        Where its inputs or its plugin are others now, this is another job, which is recorded.

        Raises:
            ConflictError: it waits, runs or has all that it made.
        """
        self._access.check_change(requester, job_id, self.kind)
        job = self.jobs.plugin(job_id)
        if job.status not in RESTARTABLE and (job.status != JobStatus.COMPLETE or self.workshop.is_made(job)):
            raise ConflictError(f"plugin job {job_id} is {job.status}: there is nothing to restart")
        found = self.workshop.catalogue.get(f"{job.plugin}@{job.version}")
        if job.facts["unique"]:
            self.workshop.renew(job, "restarted")
            return CreatedPlugin(plugin_job_id=job_id)
        rows, texts = self.inputs.resolve(requester, found.description, job.recipe["inputs"])
        now = self.workshop.record(found, job.recipe["parameters"], texts, rows, requester.owner)
        if now == job_id:
            self.jobs.note_plugin(job_id, inputs=rows)
            self.workshop.renew(job, "restarted")
        return CreatedPlugin(plugin_job_id=now)

    @action("cancel", flow="cancel-job", done="job {job_id} is cancelled")
    def cancel(self, requester: Requester, job_id: str) -> None:
        """Stop a job that waits, runs or is paused; its plugin is killed within a second or so.

        Raises:
            ConflictError: it has ended already.
        """
        self._access.check_change(requester, job_id, self.kind)
        status = self.jobs.plugin(job_id).status
        if status not in OPEN:
            raise ConflictError(f"plugin job {job_id} is {status}: only one that has not ended can be cancelled")
        self.jobs.move_plugin(job_id, JobStatus.CANCELLED, "cancelled by its user")
        owner = first_owner(self._database, job_id)
        for called in self.jobs.made_of(job_id):  # of a job that is not complete, nothing else is made
            if called.status in OPEN and first_owner(self._database, called.id) == owner:
                self.jobs.move_plugin(called.id, JobStatus.CANCELLED, "the job that called it was cancelled")

    def answer(self, requester: Requester, job_id: str, step: str, answers: Mapping[str, Any]) -> Waiting | None:
        """Answer what a paused job asks, and let it go on.

        Args:
            requester: Who answers; the job is in their list.
            job_id: The job.
            step: The id of the step that asks.
            answers: By name, as the step's form has them.

        Returns:
            What a run of it is to be started for.

        Raises:
            InvalidInputError: with every problem, by name.
            ConflictError: the job is not paused, or at another step.
        """
        self._access.check_change(requester, job_id, self.kind)
        job = self.jobs.plugin(job_id)
        if job.status != JobStatus.PAUSED or job.rounds[-1]["step"] != step:
            at = f" at step {job.rounds[-1]['step']!r}" if job.status == JobStatus.PAUSED else ""
            raise ConflictError(f"plugin job {job_id} is {job.status}{at}, and step {step!r} asks nothing now")
        form = {name: Parameter.model_validate(one) for name, one in job.rounds[-1]["form"].items()}
        checked = checked_values(form, answers, "answers", keep_defaults=True)
        rounds, why = answered(job.rounds, len(job.rounds), checked), f"step {step} was answered"
        if not self.jobs.change_plugin(job_id, JobStatus.PAUSED, JobStatus.QUEUED, why, rounds=rounds):
            raise ConflictError(f"step {step!r} of plugin job {job_id} was answered by somebody else just now")
        return self.waiting(job_id)

    @action("files", columns=("name", "port", "size", "dataType", "contentType"))
    def files(self, requester: Requester, job_id: str) -> list[PluginFile]:
        """List what a complete job made."""
        return [PluginFile.of(one) for one in self._complete(requester, job_id).outputs]

    @action("get", answer="the file")
    def file(self, requester: Requester, job_id: str, name: str) -> BinaryIO:
        """Read a file that a complete job made, or a directory as a zip; this counts as use of the job.

        Args:
            requester: The person who makes the request.
            job_id: The plugin job.
            name: The file, as `files` lists it.

        Raises:
            NotFoundError: there is no such job or file.
            ConflictError: it is not complete.
        """
        return self.stored_file(requester, job_id, name).open()

    def stored_file(self, requester: Requester, job_id: str, name: str) -> StoredFile | StoredDirectory:
        """Look up what a complete job made, to be read as its reader likes; this counts as use of the job.

        Raises:
            NotFoundError, NotAllowedError, ConflictError: as `file`.
        """
        job = self._complete(requester, job_id)
        found = next((one for one in job.outputs if one["name"] == name), None)
        if found is None:
            there = ", ".join(one["name"] for one in job.outputs)
            raise NotFoundError("output", name[:60], f"the job has {there}")
        if is_long_ago(job.used_at):
            self.jobs.touch([job_id])
        store, key, tag = self.workshop.store, found["key"], digest("file/1", found["sha256"])
        if found["directory"]:
            return StoredDirectory(name, tag, store, key)
        return StoredFile(name, found["size"], found["content"], tag, store, key)

    def fetch(self, requester: Requester, job_id: str, directory: Path, *, overwrite: bool = False) -> list[Path]:
        """Write what a complete job made into a directory, each file or directory whole or not at all.

        Raises:
            NotFoundError, ConflictError: as `file`; or something else of such a name is there: see `write_outputs`.
        """
        job, store, by = self._complete(requester, job_id), self.workshop.store, self.workshop.coupled("")
        outputs = [
            DirectoryOutput(one["name"], one["sha256"], f"store:{one['key']}", by)
            if one["directory"]
            else FileOutput(one["name"], partial(store.open, one["key"]))
            for one in job.outputs
        ]
        return write_outputs(outputs, directory, overwrite=overwrite)

    @action("errors")
    def errors(self, requester: Requester, job_id: str) -> Errors:
        """Read what the plugin wrote to standard error; often nothing."""
        self._access.check_read(requester, job_id, self.kind)
        return Errors(stderr=self.jobs.plugin(job_id).stderr)

    def _complete(self, requester: Requester, job_id: str) -> PluginJob:
        self._access.check_read(requester, job_id, self.kind)
        job = self.jobs.plugin(job_id)
        if job.status == JobStatus.PAUSED:
            step = job.rounds[-1]["step"]
            raise ConflictError(f"plugin job {job.id} is paused: answer its step {step!r}, then it goes on")
        check_complete(self.kind, job)
        return job
