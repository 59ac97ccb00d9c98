"""Copying between storages."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE

from blocks.storage import ResultStorage
from multiblast.errors import NotFoundError
from multiblast.stores import Store
from multiblast.transfer import CopyProgress, copy_results

__all__ = ["copy_storage", "storage_named"]

_PERIOD_S = 2.0


@task(cache_policy=NO_CACHE, task_run_name="copy {source} to {target}")
async def copy_storage(source: str, target: str, prefix: str, *, compare_bytes: bool) -> CopyProgress:
    """Copy what one storage has to another, and show every 2 s how far it is."""
    stores = storage_named(source), storage_named(target)
    sizes = [found.size_bytes for found in stores[0].list(prefix)]
    told = [CopyProgress()]
    copy = asyncio.to_thread(copy_results, *stores, prefix, compare_bytes=compare_bytes, progress=told.append)
    copying = asyncio.create_task(copy)
    artifact = await acreate_progress_artifact(0.0, description=_text(told[0], len(sizes)))
    while not copying.done():
        await asyncio.wait([copying], timeout=_PERIOD_S)
        del told[:-1]
        percent = 100 * told[-1].size_bytes / max(told[-1].size_bytes, sum(sizes), 1)
        await aupdate_progress_artifact(artifact, percent, description=_text(told[-1], len(sizes)))
    return await copying


def storage_named(name: str) -> Store:
    """Return the store of a BLAST result storage block.

    Raises:
        NotFoundError: there is no such block.
    """
    try:
        block: ResultStorage = ResultStorage.load(name, _sync=True)  # type: ignore[call-arg, assignment]  # added by Prefect's decorator
    except ValueError as error:
        remedy = "make it in Prefect under Blocks, or correct the name"
        raise NotFoundError("BLAST result storage block", name, remedy) from error
    return block.store()


def _text(now: CopyProgress, objects: int) -> str:
    return (
        f"{now.objects:,} of {objects:,} objects, {now.size_bytes / 1e6:,.1f} MB"
        f" · {now.copied:,} copied, {now.objects - now.copied:,} were there"
    )
