"""Maintenance: copying between storages and machines, shown while it goes on, and databases as choices of the forms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from itertools import groupby
from typing import Any, TypeVar

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse

from blocks.services import chosen, services
from blocks.storage import ResultStorage
from multiblast.errors import InvalidInputError, NotFoundError, Problem, ProgramError
from multiblast.installation import Installation
from multiblast.molecules import DatabaseKind
from multiblast.options import PROGRAMS, options_for, program_names
from multiblast.stores import Store
from multiblast.targets import BlastDatabase
from multiblast.transfer import (
    CopyProgress,
    Published,
    Synced,
    copy_results,
    publish,
    published_databases,
    sync_databases,
)
from tasks.plugin_deployments import all_deployments

_PERIOD_S = 2.0
_NAME_PARTS = 3
_TITLES = 20  # in the description of a field
_OFFERED = "\n\nOffered: "

_EMPTY = {"maxLength": 0}
# A form shows at the query what is wrong with it, unless there is a file, or a profile that needs neither.
_QUERY_OR_FILE = {
    "if": {"properties": {"query_file": _EMPTY, "options": {"properties": {"in_pssm": _EMPTY}}}},
    "then": {"properties": {"query": {"minLength": 1}}, "required": ["query"]},
}

ProgressT = TypeVar("ProgressT")
ResultT = TypeVar("ResultT")


async def copy_storage(source: str, target: str, prefix: str, *, compare_bytes: bool) -> CopyProgress:
    """Copy what one storage has to another, and show how far that is."""
    stores = _storage(source), _storage(target)
    sizes = [found.size_bytes for found in stores[0].list(prefix)]

    def describe(now: CopyProgress) -> tuple[float, str]:
        text = (
            f"{now.objects:,} of {len(sizes):,} objects, {now.size_bytes / 1e6:,.1f} MB"
            f" · {now.copied:,} copied, {now.objects - now.copied:,} were there"
        )
        # Objects may have come since they were counted.
        return now.size_bytes / max(now.size_bytes, sum(sizes), 1), text

    return await _show_progress(
        lambda note: copy_results(*stores, prefix, compare_bytes=compare_bytes, progress=note), CopyProgress(), describe
    )


async def publish_database(name: str, storage: str) -> Published:
    """Copy a database to a storage, and show how far that is."""
    parts = name.strip().split("/")
    if len(parts) != _NAME_PARTS:
        raise InvalidInputError(Problem(f"{name!r} names no database: write SITE/TARGET/DATABASE", "name"))
    site, target, database = parts
    found = services().targets.resolve(site, target, database)
    store = _storage(storage)
    size = sum(path.stat().st_size for path in found.files())
    return await _show_progress(lambda note: publish(store, found, note), 0, _of_bytes(size))


async def sync_here(names: list[str], storage: str, limit_gb: float) -> Synced:
    """Copy published databases to this machine, and show how far that is."""
    store, targets = _storage(storage), services().targets
    size = sum(found.size_bytes for found in published_databases(store) if not names or found.display in names)
    limit = round(limit_gb * 1e9)
    return await _show_progress(
        lambda note: sync_databases(store, targets, names, limit_bytes=limit, progress=note), 0, _of_bytes(size)
    )


def scan_targets() -> list[BlastDatabase]:
    """Return the databases that are there now."""
    targets = services().targets
    targets.rescan()
    return list(targets.databases())


def update_target_choices(databases: list[BlastDatabase]) -> None:
    """Make the databases the choices of every deployed form that has targets, those that fit its program.

    A command with databases of its own changes no form: the forms are for the server's workers.
    """
    if chosen():
        return
    installation = services().installation
    with get_client(sync_client=True) as client:
        for deployment in all_deployments(client):
            schema = _with_choices(deployment, databases, installation)
            if schema is not None:
                client.update_deployment(deployment.id, DeploymentUpdate(parameter_openapi_schema=schema))


def _storage(name: str) -> Store:
    """Return the store of a BLAST result storage block; without a name, that of the results."""
    if not name:
        return services().store
    try:
        return ResultStorage.named(name).store()
    except ValueError as error:
        remedy = "make it in Prefect under Blocks, or correct the name"
        raise NotFoundError("BLAST result storage block", name, remedy) from error


async def _show_progress(
    work: Callable[[Callable[[ProgressT], None]], ResultT],
    start: ProgressT,
    describe: Callable[[ProgressT], tuple[float, str]],
) -> ResultT:
    """Work in a thread, which reports its progress, and show on the run's page every 2 s how far it is.

    What share of the work is done, and a text, is described from its progress.
    """
    latest = start

    def note(now: ProgressT) -> None:
        nonlocal latest
        latest = now

    working = asyncio.create_task(asyncio.to_thread(work, note))
    artifact = await acreate_progress_artifact(0.0, description=describe(start)[1])
    while not working.done():
        await asyncio.wait([working], timeout=_PERIOD_S)
        share, text = describe(latest)
        await aupdate_progress_artifact(artifact, min(100.0, 100 * share), description=text)
    return await working


def _of_bytes(size_bytes: int) -> Callable[[int], tuple[float, str]]:
    wanted = f"of {size_bytes / 1e6:,.1f} MB that are wanted"
    return lambda copied: (copied / max(size_bytes, 1), f"{copied / 1e6:,.1f} MB copied, {wanted}")


def _with_choices(
    deployment: DeploymentResponse, databases: list[BlastDatabase], installation: Installation
) -> dict[str, Any] | None:
    schema = deepcopy(deployment.parameter_openapi_schema or {})
    targets = schema.get("properties", {}).get("targets")
    if targets is None:
        return None
    program = deployment.name.removeprefix("submit-")
    kinds = {options_for(program).database_kind} if program in PROGRAMS else set(DatabaseKind)
    fitting = sorted((one for one in databases if one.molecule in kinds), key=lambda one: one.display)
    described = str(targets.get("description", "")).partition(_OFFERED)[0]
    offered = "; ".join(f"{one.display}: {one.title}" for one in fitting[:_TITLES])
    schema["properties"]["targets"] = {
        **{name: targets[name] for name in ("title", "position") if name in targets},
        "description": described + (_OFFERED + offered if offered else ""),
        "minItems": 1,
        **_choices([one.display for one in fitting]),
    }
    schema["required"] = sorted({*schema.get("required", ()), "targets"})
    if program in PROGRAMS:
        _leave_out_missing_options(schema, program, installation)
    if "program" in schema["properties"]:
        schema["properties"]["program"]["enum"] = list(program_names())
    return schema | _QUERY_OR_FILE


def _leave_out_missing_options(schema: dict[str, Any], program: str, installation: Installation) -> None:
    """Take those options out of a program's form that the installed version does not have."""
    try:
        there = options_for(program).declared_in(installation.version(program))
    except ProgramError:  # it is installed where the workers are
        return
    offered = [definition.get("properties", {}) for definition in schema.get("definitions", {}).values()]
    sent = schema["properties"].get("options", {}).get("default", {})  # by a form that was left alone
    for name in options_for(program).declared.keys() - there:
        for named in (*offered, sent):
            named.pop(name, None)


def _choices(names: list[str]) -> dict[str, Any]:
    """Return what a form lets one choose: several databases, all of one site."""
    sites = {site: list(some) for site, some in groupby(names, lambda name: name.partition("/")[0])}
    if len(sites) > 1:
        return {"anyOf": [{"title": f"targets of {site}", **_some_of(some)} for site, some in sites.items()]}
    return _some_of(names) if names else {"type": "array", "items": {"type": "string"}}


def _some_of(names: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", "enum": names}}
