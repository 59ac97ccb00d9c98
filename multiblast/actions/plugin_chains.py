"""Chains that run by themselves: each plugin job of one knows what comes after it, whoever runs it.

What is left of a chain stands in the recipe of its job, under ``then``. The process that has run the job goes on with
it, so that nobody has to wait with a browser open; a page that shows the job does so too, should that process be gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from multiblast.accounts import Requester
from multiblast.actions.plugin_inputs import found
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.database import JobStatus, PluginJob
from multiblast.errors import ConflictError, MultiblastError, NotFoundError
from multiblast.jobs import descendants, newest_plugin_jobs
from multiblast.plugins.chains import Chain, Link, Made, find_chains, following, inputs_of, reachable, shown, the_chain
from multiblast.plugins.kinds import matches
from multiblast.plugins.plugin import Plugin
from multiblast.upkeep.reconciliation import Waiting

_THEN = "then"
_ASKED_AT_ONCE = 10_000
_MOST_KINDS = 20
_MOST_WAYS = 3  # to one kind


@dataclass(frozen=True, slots=True)
class Offered:
    """A chain that can be run from what there is.

    Attributes:
        to: What it leads to, such as ``tree``; of a plugin that makes several things, all of them.
        missing: Names of its plugins that are not installed.
    """

    to: tuple[str, ...]
    chain: Chain
    missing: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The names of its plugins."""
        return [link.plugin.name for link in self.chain]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a chain that was begun; without a job, its turn has not come yet.

    Attributes:
        plugin: As ``NAME@VERSION``.
        problem: Why it cannot be done.
    """

    plugin: str
    job: PluginJob | None = None
    problem: str = ""


class PluginChains:
    """Runs chains of plugin jobs.

    Attributes:
        jobs: The door of plugin jobs.
    """

    def __init__(self, jobs: PluginJobs) -> None:
        self.jobs = jobs

    def chains(
        self, requester: Requester, source: str, to: str, through: Sequence[str] = ()
    ) -> list[tuple[Chain, list[str]]]:
        """Return the shortest chains of plugins from what there is to what is wanted, those that can run here first.

        Args:
            requester: Who wants it.
            source: What there is: see `multiblast.actions.plugin_sources`.
            to: A data type such as ``tree``, or the name of the last plugin.
            through: Names of plugins that are to be in it.

        Returns:
            Each chain with the names of its plugins that are not installed.

        Raises:
            NotFoundError: there is none, or no such job.
        """
        plugins = self.jobs.workshop.catalogue.newest()
        for name in through:
            self.jobs.workshop.catalogue.get(name)
        for likely in (True, False):
            have, besides = self.jobs.inputs.beginning(requester, source, likely=likely)
            if chains := find_chains(plugins, have, besides, to, through):
                break
        else:
            what = found(have)
            if through and find_chains(plugins, have, besides, to):
                what = f"{what} through {' and then '.join(through)}"
            raise NotFoundError("chain of plugins to", to, f"there is none from {what}; see: multiblast plugins list")
        missing = [
            [link.plugin.name for link in chain if not self.jobs.workshop.is_installed(link.plugin)] for chain in chains
        ]
        return sorted(zip(chains, missing, strict=True), key=lambda pair: bool(pair[1]))

    def chain(self, requester: Requester, source: str, to: str, through: Sequence[str] = ()) -> Chain:
        """Return the chain that is meant, all of whose plugins are installed: see `chains`.

        Raises:
            InvalidInputError: there are several.
            ConflictError: each needs a plugin that is not installed.
        """
        found = self.chains(requester, source, to, through)
        if lacking := found[0][1]:
            raise ConflictError(
                f"{shown(found[0][0])} needs more. Type: multiblast plugins install {' '.join(lacking)}"
            )
        return the_chain([chain for chain, missing in found if not missing], to)

    def following(self, job_id: str) -> list[tuple[Plugin, str]]:
        """Return the plugins that can go on with what a job made, each with the input that takes it."""
        made = [Made(one["data"], one["content"]) for one in self.jobs.jobs.plugin(job_id).outputs]
        return following(self.jobs.workshop.catalogue, made)

    def offered(self, requester: Requester, source: str) -> list[Offered]:
        """Return the chains from what there is to all that they can lead to, without those that need more parameters.

        Of several shortest ways that nothing distinguishes, all are returned, up to three. Pictures of what chains
        lead to are no ends of their own: `begin` has them made.

        Raises:
            NotFoundError, NotAllowedError, ConflictError: there is no such job, or it is not complete.
        """
        have, besides = self.jobs.inputs.beginning(requester, source)
        plugins = [
            one
            for one in self.jobs.workshop.catalogue.newest()
            if not any(parameter.required for parameter in one.description.parameters.values())
        ]
        installed = {one.identifier: self.jobs.workshop.is_installed(one) for one in plugins}
        found: dict[str, Offered] = {}
        for to in reachable(plugins, [*have, *besides])[:_MOST_KINDS]:
            for chain in _meant(find_chains(plugins, have, besides, to)):
                if len(chain) > 1 and _is_view(chain[-1].plugin):
                    continue
                missing = tuple(link.plugin.name for link in chain if not installed[link.plugin.identifier])
                before = found[shown(chain)].to if shown(chain) in found else ()
                found[shown(chain)] = Offered((*before, to), chain, missing)
        return sorted(found.values(), key=lambda one: len(one.chain))

    def begin(
        self, requester: Requester, source: str, to: str, through: Sequence[str] = (), *, pictures: bool = False
    ) -> tuple[str, list[Waiting]]:
        """Record the first job of a chain, and those after it for which nothing has to be run.

        Args:
            requester: Who wants it.
            source: What there is.
            to: A data type, or the name of the last plugin.
            through: Names of plugins that are to be in it.
            pictures: Whether plugins that show what a step makes are to do so.

        Returns:
            The first job, and what a run is to be started for.

        Raises:
            InvalidInputError: there are several such chains, or a plugin needs to be told more.
            NotFoundError: there is none, or no such job.
            ConflictError: something is not installed, or not complete.
        """
        chain = self.chain(requester, source, to, through)
        first = self.jobs.submit(requester, chain[0].plugin.identifier, inputs_of(chain[0], source, []))
        steps = [_written(link) for link in chain[1:]]
        if steps or pictures:
            entry = {"owner": requester.owner, "source": source, "steps": steps, "jobs": [first], "pictures": pictures}
            self._note(first, entry)
        waiting = self.jobs.begin(first)
        return first, [waiting] if waiting else self.go_on(first)

    def go_on(self, job_id: str) -> list[Waiting]:
        """Record the jobs that come after one that is complete, in each chain that it is a step of.

        Returns:
            What runs are to be started for: jobs that come next, or after those if those are complete already.
        """
        job = self.jobs.jobs.plugin(job_id)
        if job.status != JobStatus.COMPLETE:
            return []
        waiting: list[Waiting] = []
        for entry in job.recipe.get(_THEN, ()):
            if not _goes_on(entry):
                continue
            now = {**entry, "pictured": True}
            if entry["steps"]:
                try:
                    now["next"] = self._next(now)
                except MultiblastError as error:
                    now["problem"] = str(error)
            shows = entry.get("pictures") and not entry.get("pictured")
            views = self._views(job, entry["owner"]) if shows else []
            self._note(job_id, now)  # once all that comes next is there, for who looks whether something is to come
            if "next" in now:
                begun = self.jobs.begin(now["next"])
                waiting += [begun] if begun else self.go_on(now["next"])
            waiting += views
        return waiting

    def execute(self, job_id: str) -> PluginJob:
        """Run a job in this process to its end, and all that come after it in its chains; return the job.

        Raises:
            JobFailedError: it, or one after it, is not complete.
        """
        job = self.jobs.execute(job_id)
        for waiting in self.go_on(job_id):
            self.execute(waiting.job_id)
        return job

    def steps(self, job_id: str) -> list[list[Step]]:
        """Return the chains that a job is a step of, each with its steps from the first to the last."""
        job = self.jobs.jobs.plugin(job_id)
        return [self._steps(entry) for entry in job.recipe.get(_THEN, ())]

    def last(self, job_id: str, to: str) -> PluginJob:
        """Return the last job of a complete chain that began with a job.

        Args:
            job_id: The first job.
            to: What the chain was to lead to: a kind of things, or the name of its last plugin.

        Raises:
            ConflictError: it is not complete.
        """
        first = self.jobs.jobs.plugin(job_id)
        for steps in [*reversed(self.steps(job_id)), [Step("", first)]]:
            job = steps[-1].job
            if job is not None and (job.plugin == to or any(matches(one["data"], to) for one in job.outputs)):
                return job
        problems = [step.problem for steps in self.steps(job_id) for step in steps if step.problem]
        raise ConflictError(
            f"the chain to {to} ended before: {problems[0] if problems else 'see the jobs of its steps'}"
        )

    def is_under_way(self, job: PluginJob) -> bool:
        """Return whether something is to come after a job, and was not recorded when the job was looked up."""
        return job.status == JobStatus.COMPLETE and any(map(_goes_on, job.recipe.get(_THEN, ())))

    def descendants(self, job_id: str, requester: Requester | None = None, most: int | None = None) -> list[PluginJob]:
        """Return the plugin jobs that take in a job's outcome, and those that take in theirs, oldest first.

        Args:
            job_id: The job.
            requester: Who may read them; None for all.
            most: How many; of more, the newest.
        """
        database = self.jobs.workshop.database
        found = descendants(database, job_id)
        if requester is not None:
            parts = (found[at : at + _ASKED_AT_ONCE] for at in range(0, len(found), _ASKED_AT_ONCE))
            found = [one for part in parts for one in self.jobs.statuses(requester, part)]
        return newest_plugin_jobs(database, found, most)

    def _next(self, entry: Mapping[str, Any]) -> str:
        """Record the next job of a chain, for whoever began it: they were allowed to when they did."""
        step, *rest = entry["steps"]
        inputs = {
            port: [f"plugin:{entry['jobs'][number - 1]}/{output}" if number else entry["source"]]
            for port, (number, output) in step["inputs"].items()
        }
        job_id = self.jobs.submit_for(entry["owner"], step["plugin"], inputs)
        self._note(job_id, {**entry, "steps": rest, "jobs": [*entry["jobs"], job_id], "pictured": False})
        return job_id

    def _views(self, job: PluginJob, owner: str) -> list[Waiting]:
        """Record the jobs that show what a job made; what cannot be shown is left."""
        waiting = []
        for plugin, port in self.following(job.id):
            if _is_view(plugin) and self.jobs.workshop.is_installed(plugin):
                with suppress(MultiblastError):
                    waiting.append(
                        self.jobs.begin(self.jobs.submit_for(owner, plugin.identifier, {port: [f"plugin:{job.id}"]}))
                    )
        return [one for one in waiting if one]

    def _note(self, job_id: str, entry: Mapping[str, Any]) -> None:
        """Write what is left of a chain into the recipe of a job, in the place of what stood there of the same."""
        job = self.jobs.jobs.plugin(job_id)

        def is_same(other: Mapping[str, Any]) -> bool:
            return all(other[name] == entry[name] for name in ("owner", "source", "jobs", "steps"))

        others = [one for one in job.recipe.get(_THEN, ()) if not is_same(one)]
        self.jobs.jobs.note_plugin(job_id, recipe={**job.recipe, _THEN: [*others, dict(entry)]})

    def _steps(self, entry: Mapping[str, Any]) -> list[Step]:
        jobs = [self.jobs.jobs.plugin(one) for one in entry["jobs"]]
        done = [Step(f"{one.plugin}@{one.version}", one) for one in jobs]
        if entry.get("next"):
            rest = self.jobs.jobs.plugin(entry["next"])
            for other in rest.recipe.get(_THEN, ()):
                if other["jobs"][: len(entry["jobs"])] == entry["jobs"] and other["owner"] == entry["owner"]:
                    return self._steps(other)
        left = [Step(one["plugin"], problem=entry.get("problem", "")) for one in entry["steps"]]
        return done + left


def _written(link: Link) -> dict[str, Any]:
    return {"plugin": link.plugin.identifier, "inputs": {port: [made.step, made.port] for port, made in link.inputs}}


def _goes_on(entry: Mapping[str, Any]) -> bool:
    """Return whether a job is to come that was not recorded yet."""
    if entry.get("pictures") and not entry.get("pictured"):
        return True
    return bool(entry["steps"]) and not entry.get("next") and not entry.get("problem")


def _is_view(plugin: Plugin) -> bool:
    """Return whether all that a plugin does is to show what it takes in."""
    return plugin.description.type == "visualization"


def _meant(chains: Sequence[Chain]) -> Sequence[Chain]:
    """Return the chain that is meant, if one is, else some of them."""
    try:
        return [the_chain(chains, "")] if chains else []
    except MultiblastError:
        return chains[:_MOST_WAYS]
