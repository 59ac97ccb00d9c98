"""What all plugin jobs of a process share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any
from uuid import uuid4

from multiblast.coupling import RelayingCoupling, StoreCoupling, choose, connect
from multiblast.coupling.trees import MANIFEST
from multiblast.database import Database, JobStatus, PluginJob
from multiblast.errors import ConflictError, MultiblastError
from multiblast.ids import Canonical, is_id
from multiblast.jobs import Jobs, plugin_job_id
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.environments import Environment, Environments
from multiblast.plugins.git_sources import GitSource
from multiblast.plugins.kept_outputs import object_of
from multiblast.plugins.needs import resolved_needs
from multiblast.plugins.plugin import Plugin, SourceKind
from multiblast.plugins.records import Configuration
from multiblast.plugins.tools import tool_version
from multiblast.stores import Store


@dataclass
class Workshop:
    """Where plugin jobs are recorded and their files are kept, and the plugins of this machine.

    Attributes:
        sandbox: Whether plugins are confined: ``auto``, ``bwrap`` or ``none``.
        threads: How many a plugin may use.
        coupling: What a block says of how files reach a plugin.
    """

    database: Database
    store: Store
    catalogue: Catalogue
    environments: Environments
    sandbox: str = "auto"
    threads: int = 1
    coupling: str = ""
    secret: Callable[[str], str] = field(default=lambda _: "")

    @cached_property
    def jobs(self) -> Jobs:
        """All jobs."""
        return Jobs(self.database)

    def facts(self, plugin: Plugin) -> dict[str, Any]:
        """Return what decides what a plugin makes, beside its inputs and parameters.

        Raises:
            ToolError: its tool is not installed, or is of another version than it needs.
            ConflictError: the plugin is not installed.
            NotFoundError: a plugin that it calls is not here.
        """
        environment = self.environments.find(plugin)
        if environment is None:
            raise ConflictError(
                f"the plugin {plugin.name} is not installed here. Type: multiblast plugins install {plugin.name}"
            )
        source = plugin.source
        return {
            "files": plugin.digest,
            "tool": tool_version(plugin, environment),
            "environment": environment.digest,
            "needs": resolved_needs(self.catalogue, plugin.description),
            "source": str(source),
            "commit": source.commit,
            "repository": GitSource.parse(source.place).url if source.kind is SourceKind.GIT else "",
        }

    def is_installed(self, plugin: Plugin) -> bool:
        """Return whether a plugin can run here."""
        try:
            self.facts(plugin)
        except MultiblastError:
            return False
        return True

    def plugin(self, job: PluginJob) -> tuple[Plugin, Environment]:
        """Return a job's plugin and its environment, which must be as when the job was recorded.

        Raises:
            NotFoundError: it is not here.
            ConflictError: it is another one now.
        """
        plugin = self.catalogue.get(f"{job.plugin}@{job.version}")
        environment = self.environments.prepare(plugin)  # which may have been swept
        now = self.facts(plugin)
        for name, what in (("files", "its files"), ("tool", "its tool"), ("environment", "its environment")):
            if now[name] != job.facts[name]:
                raise ConflictError(f"the plugin {plugin.identifier} is not as it was, {what} changed: restart the job")
        return plugin, environment

    def record(  # noqa: PLR0913 - what a job is made of
        self,
        plugin: Plugin,
        parameters: Mapping[str, Any],
        texts: Mapping[str, Sequence[str]],
        inputs: list[dict[str, Any]],
        owner: str,
        *,
        summary: str = "",
        description: str = "",
    ) -> str:
        """Record a job, unless it is there, and return its id.

        Args:
            plugin: What does it.
            parameters: Those that are not default.
            texts: What names its inputs, by port.
            inputs: The files that these stand for, as a job's row has them.
            owner: In whose list it goes; empty for nobody's.
            summary: One line about it.
            description: More about it.

        Raises:
            MultiblastError: the plugin is not installed.
        """
        facts, table = self.facts(plugin), plugin.description
        digests: dict[str, list[str]] = {}
        for one in inputs:
            digests.setdefault(one["port"], []).append(one["sha256"])
        unique = "" if table.run.cache and table.state is None else uuid4().hex
        private = sorted(name for name, one in table.parameters.items() if one.is_private)
        job = PluginJob(
            id=job_id_of(plugin, facts, parameters, digests, unique=unique),
            plugin=plugin.name,
            version=table.version,
            recipe={"inputs": {port: list(some) for port, some in texts.items()}, "parameters": dict(parameters)},
            facts=facts | {"unique": unique, "private": private},
            inputs=inputs,
        )
        sources = {str(one["job"]) for one in inputs if is_id(str(one["job"]))}
        self.jobs.record_plugin(job, sources, owner, summary=summary, description=description)
        return job.id

    def is_made(self, job: PluginJob) -> bool:
        """Return whether a job is complete and all that it made is there."""
        return job.status == JobStatus.COMPLETE and all(self.store.exists(object_of(one)) for one in job.outputs)

    def renew(self, job: PluginJob, why: str) -> None:
        """Let a job wait for a run, which goes on after the last round whose question was answered."""
        kept = list(takewhile(self._can_go_on, job.rounds))
        numbers = {str(one["number"]) for one in kept}
        outputs = [one for one in job.outputs if one["key"].split("/")[3] in numbers]
        self.jobs.move_plugin(job.id, JobStatus.QUEUED, why, rounds=kept, outputs=outputs)

    def _can_go_on(self, round_: Mapping[str, Any]) -> bool:
        """Return whether the round after one can begin: what it left and what was answered are still there."""
        if round_["end"] == "done" or round_["answers"] is None:
            return False
        state = round_["state"]
        if state and not self.store.exists(f"{state['url'].removeprefix('store:')}/{MANIFEST}"):
            return False
        return round_["end"] != "call" or self.is_made(self.jobs.plugin(round_["job"]))

    def coupled(self, plugin: str, run: str = "") -> StoreCoupling:
        """Return what a plugin's files travel by: as the run, the environment, its configuration or the block says."""
        chosen = choose(run, configured=Configuration.read().coupling(plugin), block=self.coupling)
        by = connect(chosen, self.store)
        return by if by.store is self.store else RelayingCoupling(by.store, self.store, name=by.name)


def job_id_of(
    plugin: Plugin,
    facts: Mapping[str, Any],
    parameters: Mapping[str, Canonical],
    inputs: Mapping[str, list[str]],
    *,
    unique: str = "",
) -> str:
    """Return the id of a plugin job.

    Args:
        plugin: What does it.
        facts: See `Workshop.facts`.
        parameters: Those that are not default.
        inputs: The SHA-256 of each input, by port.
        unique: What makes it another job than any other, for a plugin whose work is never the same.
    """
    same: dict[str, Canonical] = {name: facts[name] for name in ("files", "tool", "environment", "needs")}
    same |= {"plugin": plugin.name, "version": plugin.description.version}
    return plugin_job_id(same | {"parameters": parameters, "inputs": inputs, "unique": unique})
