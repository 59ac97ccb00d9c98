"""Copying between storages."""

from __future__ import annotations

import time

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from blocks.storage import ResultStorage
from multiblast.errors import NotFoundError
from multiblast.stores import CopyProgress, Store, copy_results

__all__ = ["copy_storage"]

_PERIOD_S = 2.0


@task(cache_policy=NO_CACHE, task_run_name="copy {source} to {target}")
def copy_storage(source: str, target: str, prefix: str, *, compare_bytes: bool) -> CopyProgress:
    """Copy what one storage has to another, and show how far it is."""
    stores = _store(source), _store(target)
    sizes = [found.size_bytes for found in stores[0].list(prefix)]
    page = _Page(len(sizes), sum(sizes))
    done = copy_results(*stores, prefix, compare_bytes=compare_bytes, progress=page.show)
    page.show(done, last=True)
    return done


def _store(name: str) -> Store:
    try:
        block: ResultStorage = ResultStorage.load(name, _sync=True)  # type: ignore[call-arg, assignment]  # added by Prefect's decorator
    except ValueError as error:
        remedy = "make it in Prefect under Blocks, or correct the name"
        raise NotFoundError("BLAST result storage block", name, remedy) from error
    return block.store()


class _Page:
    """One progress artifact, brought up to date at most every 2 s."""

    def __init__(self, objects: int, size_bytes: int) -> None:
        self._objects, self._size_bytes = objects, size_bytes
        created = create_progress_artifact(0.0, description=self._text(CopyProgress()), _sync=True)
        self._artifact, self._shown = created, time.monotonic()

    def show(self, now: CopyProgress, *, last: bool = False) -> None:
        if last or time.monotonic() - self._shown >= _PERIOD_S:
            self._shown = time.monotonic()
            percent = 100.0 if last else 100 * now.size_bytes / max(now.size_bytes, self._size_bytes, 1)
            update_progress_artifact(self._artifact, percent, description=self._text(now), _sync=True)

    def _text(self, now: CopyProgress) -> str:
        return (
            f"{now.objects:,} of {self._objects:,} objects, {now.size_bytes / 1e6:,.1f} MB"
            f" · {now.copied:,} copied, {now.objects - now.copied:,} were there"
        )
