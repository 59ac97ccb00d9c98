"""A deployment for each plugin that can be run here, with a form made from its table; renewed when plugins change."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentScheduleUpdate, DeploymentUpdate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events import Event, Resource
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException
from pydantic import ValidationError

from blocks.services import chosen, services
from multiblast.plugins.description import Schedule
from multiblast.plugins.forms import form_schema
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.workshop import Workshop

FLOW = "run-plugin"
"""The flow of these deployments, and the deployment of it in which the plugin is a field."""

_QUEUE = "plugins"
_PAGE = 200  # of deployments, which is the most that a server gives at once
_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_GROUPS = ("inputs", "parameters")

_log = logging.getLogger(__name__)


@dataclass
class Offered:
    """What was done: names of plugins whose deployment was made, renewed or removed; problems by plugin."""

    made: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def offer_plugins() -> Offered:
    """Give each plugin that can be run here its deployment, and remove those of others.

    That of the newest version has the plugin's name, those of others have ``NAME@VERSION``.

    A command with databases of its own changes nothing: the forms are for the server's workers.
    """
    return Offered() if chosen() else offer(services().plugin_jobs.workshop)


def offer(workshop: Workshop) -> Offered:
    """Do what `offer_plugins` does, with the plugins of a workshop; nothing at a server that has none of our flows."""
    offered, newest = Offered(), {one.identifier for one in workshop.catalogue.newest()}
    plugins = {
        one.name if one.identifier in newest else one.identifier: one
        for one in workshop.catalogue.all()
        if one.description.search is None and workshop.is_installed(one)
    }
    with get_client(sync_client=True) as client:
        try:
            pattern = client.read_deployment_by_name(f"{FLOW}/{FLOW}")
        except ObjectNotFound:
            return offered
        there = {one.name: one for one in all_deployments(client) if one.flow_id == pattern.flow_id}
        for name, plugin in plugins.items():
            try:
                _offer(client, name, plugin, pattern, there.get(name))
            except (HTTPError, PrefectException, ValidationError, ValueError) as error:  # it alone is wrong
                offered.problems[name] = str(error)
                _log.warning("plugin %s has no deployment: %s", plugin.identifier, error)
            else:
                (offered.renewed if name in there else offered.made).append(name)
        for name in sorted(there.keys() - {FLOW, *plugins}):
            client.delete_deployment(there[name].id)
            offered.removed.append(name)
        _announce(client, offered)
    return offered


def _announce(client: SyncPrefectClient, offered: Offered) -> None:
    """Send an event for each plugin that has come or gone, on which automations can act."""
    events = [
        Event(
            event=f"multiblast.plugin.{what}",
            resource=Resource({"prefect.resource.id": f"multiblast.plugin.{name}", "prefect.resource.name": name}),
        ).model_dump(mode="json")
        for what, names in (("offered", offered.made), ("removed", offered.removed))
        for name in names
    ]
    if events:
        with suppress(HTTPError, PrefectException):  # of no use to anybody who needs the plugin itself
            client.request("POST", "/events", content=json.dumps(events))


def plugin_form(plugin: Plugin, pattern: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of the parameters of a plugin's deployment.

    Args:
        plugin: The plugin.
        pattern: That of the deployment in which the plugin is a field: of all that plugins have in common.
    """
    groups = form_schema(plugin.description)
    common = {name: deepcopy(one) for name, one in pattern["properties"].items() if name not in {"plugin", *_GROUPS}}
    for position, one in enumerate(common.values(), len(_GROUPS)):
        one["position"] = position
    fixed = {
        "title": "Plugin",
        "type": "string",
        "description": "What this form is for.",
        "enum": [plugin.identifier],
        "default": plugin.identifier,
        "position": len(_GROUPS) + len(common),
    }
    needed = [name for name, group in groups.items() if group["required"]]
    return {
        "title": "Parameters",
        "type": "object",
        "properties": {**groups, **common, "plugin": fixed},
        "required": needed,
        "additionalProperties": False,
        "definitions": {},
    }


def schedules_of(plugin: Plugin) -> list[DeploymentScheduleCreate]:
    """Return when a plugin runs by itself, as its table says."""
    return [
        DeploymentScheduleCreate(
            schedule=_schedule(one),
            active=one.active,
            slug=f"{plugin.name}-{number}",
            parameters={
                **({"inputs": _plain(one.inputs)} if one.inputs else {}),
                **({"parameters": dict(one.parameters)} if one.parameters else {}),
            },
        )
        for number, one in enumerate(plugin.description.schedules, 1)
    ]


def _offer(
    client: SyncPrefectClient, name: str, plugin: Plugin, pattern: DeploymentResponse, there: DeploymentResponse | None
) -> UUID:
    table = plugin.description
    queue = table.run.queue or _QUEUE
    if pattern.work_pool_name and table.run.queue:
        with suppress(ObjectAlreadyExists):
            client.create_work_queue(queue, work_pool_name=pattern.work_pool_name)
    common: dict[str, Any] = {
        "version": table.version,
        "description": _description(plugin),
        "parameters": {"plugin": plugin.identifier},
        "tags": _tags(plugin),
        "concurrency_limit": table.run.concurrency or None,
        "work_pool_name": pattern.work_pool_name,
        "work_queue_name": queue,
        "entrypoint": pattern.entrypoint,
        "path": pattern.path,
        "pull_steps": pattern.pull_steps,
        "job_variables": pattern.job_variables,
        "parameter_openapi_schema": plugin_form(plugin, pattern.parameter_openapi_schema or {"properties": {}}),
        "enforce_parameter_schema": True,
    }
    schedules = schedules_of(plugin) if name == plugin.name else []  # once, by the newest version
    if there is None:
        return client.create_deployment(flow_id=pattern.flow_id, name=name, schedules=schedules, **common)
    renewed = [_renewed(one, there.schedules) for one in schedules]
    if _said(renewed) != _said(there.schedules):  # to send them makes all runs anew that they are about to begin
        common["schedules"] = renewed
    client.update_deployment(there.id, DeploymentUpdate(**common))
    return there.id


def _renewed(schedule: DeploymentScheduleCreate, there: Sequence[DeploymentSchedule]) -> DeploymentScheduleUpdate:
    """Return what becomes of a schedule: one of the same times stays as somebody has switched it on or off."""
    same = [one for one in there if one.slug == schedule.slug and times_of(one.schedule) == times_of(schedule.schedule)]
    active = same[0].active if same else schedule.active
    times = same[0].schedule if same else schedule.schedule  # with the time from which periods count
    return DeploymentScheduleUpdate(
        **schedule.model_dump(exclude={"active", "schedule"}), active=active, schedule=times
    )


def _said(schedules: Sequence[Any]) -> list[tuple[str, str, str, bool]]:
    """Return what schedules say, in order."""
    return sorted(
        (one.slug or "", times_of(one.schedule), repr(sorted(one.parameters.items())), bool(one.active))
        for one in schedules
    )


def times_of(schedule: Any) -> str:
    """Return at which times a schedule starts runs, whenever it was made."""
    if isinstance(schedule, IntervalSchedule):  # it also has the time when it was made
        return f"{schedule.interval} {schedule.timezone}"
    return f"{schedule.cron} {schedule.timezone}" if isinstance(schedule, CronSchedule) else repr(schedule)


def _schedule(one: Schedule) -> IntervalSchedule | CronSchedule:
    if one.cron:
        return CronSchedule(cron=one.cron, timezone=one.timezone)
    found = _PERIOD.fullmatch(one.every)
    days, hours, minutes = (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    return IntervalSchedule(interval=timedelta(days=days, hours=hours, minutes=minutes), timezone=one.timezone)


def _tags(plugin: Plugin) -> list[str]:
    """Return the tags of a plugin, and the content types that it takes in and makes."""
    table = plugin.description
    contents = [content for port in table.inputs.values() for content in port.content]
    contents += [port.content for port in table.outputs.values()]
    return list(dict.fromkeys(["plugins", *table.tags, *(one for one in contents if one != "*")]))


def _description(plugin: Plugin) -> str:
    table = plugin.description
    lines = [f"**{table.title}**", table.description]
    lines += [f"`{plugin.identifier}`" + (f", licence {table.license}" if table.license else "")]
    lines += [
        f"Makes {', '.join(port.label or name for name, port in table.outputs.items())}." if table.outputs else ""
    ]
    lines += [f"[{link.type}]({link.href})" for link in table.links]
    if table.run.queue:
        lines.append(f"Its runs wait for a worker of their own: `multiblast service worker --queue {table.run.queue}`.")
    return "\n\n".join(line for line in lines if line)


def _plain(inputs: Any) -> dict[str, Any]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in inputs.items()}


def all_deployments(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """Return all deployments of the server, however many pages of them there are."""
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(limit=_PAGE, offset=len(found)):
        found += page
        if len(page) < _PAGE:
            break
    return found
