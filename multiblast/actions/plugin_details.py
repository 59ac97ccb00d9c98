"""A plugin job as people see it: what it takes in, asks and made; without what is private."""

from __future__ import annotations

from typing import Any

from multiblast.actions.answers import PluginDetails, PluginFile, PluginStep, UserMeta
from multiblast.database import JobStatus, PluginJob
from multiblast.errors import NotFoundError
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.kept_outputs import outputs_digest


def plugin_details(job: PluginJob, meta: UserMeta | None, catalogue: Catalogue) -> PluginDetails:
    """Return a plugin job, with what its requester notes about it.

    Args:
        job: Its row.
        meta: What the requester notes.
        catalogue: The plugins of this machine, whose tables say which parameters are private.
    """
    return PluginDetails(
        plugin_job_id=job.id,
        plugin=f"{job.plugin}@{job.version}",
        status=job.status,
        created_on=job.created_at,
        user_meta=meta,
        inputs=job.recipe["inputs"],
        parameters=_shown_parameters(job, catalogue),
        facts={name: value for name, value in job.facts.items() if value},
        steps=tuple(PluginStep.of(one) for one in job.rounds if one["end"] != "done"),
        progress=job.progress or None,
        log=job.log,
        outputs=tuple(map(PluginFile.of, job.outputs)),
        started_on=job.started_at,
        finished_on=job.finished_at,
        reason=job.reason or None,
        pinned=job.pinned,
        outputs_as_before=_as_before(job),
    )


def _shown_parameters(job: PluginJob, catalogue: Catalogue) -> dict[str, Any]:
    """Return a job's parameters; those that nobody is to see as dots."""
    try:
        declared = catalogue.get(f"{job.plugin}@{job.version}").description.parameters
    except NotFoundError:  # it is not here any more
        declared = {}
    private = {*job.facts.get("private", ()), *(name for name, one in declared.items() if one.is_private)}
    return {name: "…" if name in private else value for name, value in job.recipe["parameters"].items()}


def _as_before(job: PluginJob) -> bool | None:
    """Return whether the outputs of a complete job are those that had expired; None if none had."""
    if not job.expired_digest or job.status != JobStatus.COMPLETE:
        return None
    return outputs_digest(job.outputs) == job.expired_digest
