"""What QHAna's documents say of plugins and tasks, as JSON."""

from __future__ import annotations

from typing import Any

from multiblast.actions.answers import PluginDetails
from multiblast.database import JobStatus, PluginJob
from multiblast.plugins.description import Need
from multiblast.plugins.plugin import Plugin
from web.qhana.links import Links, identifier_of

_STATUSES = {JobStatus.COMPLETE: "SUCCESS", JobStatus.FAILED: "FAILURE"}
_STATUSES |= {JobStatus.CANCELLED: "FAILURE", JobStatus.EXPIRED: "FAILURE"}


def listed(plugin: Plugin, links: Links) -> dict[str, Any]:
    """Return a plugin as a list has it."""
    return {
        "name": plugin.name,
        "version": plugin.description.version,
        "identifier": identifier_of(plugin),
        "apiRoot": links.plugin(plugin),
        "description": plugin.description.description,
        "tags": list(plugin.description.tags),
    }


def metadata(plugin: Plugin, links: Links) -> dict[str, Any]:
    """Return what a plugin is, takes and makes."""
    table = plugin.description
    return {
        "title": table.title,
        "description": table.description,
        "name": table.name,
        "version": table.version,
        "type": "processing" if table.type == "search" else table.type,  # QHAna knows no searches
        "tags": list(table.tags),
        "links": [{"type": one.type, "href": one.href} for one in table.links],
        "entryPoint": {
            "href": links.plugin(plugin, "process/"),
            "uiHref": links.plugin(plugin, "ui/"),
            "pluginDependencies": [_need(name, one) for name, one in table.needs.items()],
            "dataInput": [
                {"parameter": name, "dataType": one.data, "contentType": list(one.content), "required": one.required}
                for name, one in table.inputs.items()
            ],
            "dataOutput": [
                {
                    "name": name,
                    # What the sub-type depends on is only known later.
                    "dataType": one.data.partition("/{")[0] + ("/*" if "/{" in one.data else ""),
                    "contentType": [one.content],
                    "required": one.required,
                }
                for name, one in table.outputs.items()
            ],
        },
    }


def _need(name: str, need: Need) -> dict[str, Any]:
    found: dict[str, Any] = {"parameter": name, "required": need.required}
    optional = {"name": need.name, "version": need.version, "type": need.type, "tags": list(need.tags)}
    return found | {key: value for key, value in optional.items() if value}


def task(job: PluginJob, details: PluginDetails, links: Links, *, is_open: bool) -> dict[str, Any]:
    """Return how a job is; only if it is open to the reader, with addresses by which it can be answered."""
    status = _STATUSES.get(JobStatus(job.status), "PENDING")
    lines = [details.log.rstrip(), *([job.reason or f"the job is {job.status}"] if status == "FAILURE" else [])]
    found: dict[str, Any] = {"status": status, "log": "\n".join(filter(None, lines))}
    if job.progress:
        found["progress"] = {name: _whole(value) for name, value in job.progress.items()}
    steps = [
        (_addresses(job, one["step"], links) if is_open else {})
        | {"stepId": one["step"], "cleared": one["answers"] is not None}
        for one in job.rounds
        if one["end"] == "ask"
    ]
    found |= {"steps": steps} if steps else {}
    found["links"] = [{"type": "subscribe", "href": links.task(job.id)}] if is_open else []
    if status == "SUCCESS":
        found["outputs"] = [
            {
                "href": links.file(job.id, number, one),
                "dataType": one["data"],
                "contentType": one["content"],
                "name": one["name"],
            }
            for number, one in enumerate(job.outputs, 1)
            if not one["directory"]
        ]
    elif status == "FAILURE":
        found["outputs"] = []
    return found


def _addresses(job: PluginJob, step: str, links: Links) -> dict[str, Any]:
    return {"href": links.task(job.id, "steps", step), "uiHref": links.task(job.id, "steps", step, "ui")}


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
