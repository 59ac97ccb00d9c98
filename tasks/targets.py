"""Databases on their way from machine to machine, through a storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE

from blocks.services import services
from multiblast.errors import InvalidInputError, Problem
from multiblast.transfer import Published, Synced, publish, published_databases, sync_databases
from tasks.copying import storage_named

__all__ = ["publish_database", "sync_here"]

_PERIOD_S = 2.0
_PARTS = 3

ResultT = TypeVar("ResultT")


@task(cache_policy=NO_CACHE, task_run_name="publish {name}")
async def publish_database(name: str, storage: str) -> Published:
    """Copy a database to a storage, and show how far that is."""
    parts, at = name.strip().split("/"), services()
    if len(parts) != _PARTS:
        raise InvalidInputError(Problem(f"{name!r} names no database: write SITE/TARGET/DATABASE", "name"))
    site, target, database = parts
    found = at.targets.resolve(site, target, database)
    store = storage_named(storage) if storage else at.store
    size = sum(path.stat().st_size for path in found.files())
    return await _watched(lambda progress: publish(store, found, progress), size)


@task(cache_policy=NO_CACHE, task_run_name="copy databases to this machine")
async def sync_here(names: list[str], storage: str, limit_gb: float) -> Synced:
    """Copy published databases to this machine, and show how far that is."""
    at = services()
    store = storage_named(storage) if storage else at.store
    size = sum(found.size_bytes for found in published_databases(store) if not names or found.display in names)
    limit = round(limit_gb * 1e9)
    return await _watched(
        lambda progress: sync_databases(store, at.targets, names, limit_bytes=limit, progress=progress), size
    )


async def _watched(copy: Callable[[Callable[[int], None]], ResultT], size_bytes: int) -> ResultT:
    told = [0]
    copying = asyncio.create_task(asyncio.to_thread(copy, told.append))
    artifact = await acreate_progress_artifact(0.0, description=f"of {size_bytes / 1e6:,.1f} MB")
    while not copying.done():
        await asyncio.wait([copying], timeout=_PERIOD_S)
        del told[:-1]
        text = f"{told[0] / 1e6:,.1f} MB copied, of {size_bytes / 1e6:,.1f} MB that are wanted"
        await aupdate_progress_artifact(artifact, min(100.0, 100 * told[0] / max(size_bytes, 1)), description=text)
    return await copying
