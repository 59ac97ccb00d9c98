"""multiblast's services over the blocks named "default", or over embedded defaults where none are registered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from prefect.exceptions import PrefectException

from blocks.appearance import OurBlock
from blocks.database import JobDatabase
from blocks.installation import BlastInstallation
from blocks.limits import BlastQueryLimits
from blocks.policy import ServicePolicy
from blocks.registry import LocalRegistry
from blocks.secrets import load_secret
from blocks.storage import ResultStorage
from multiblast.services import Services

BlockT = TypeVar("BlockT", bound=OurBlock)

_KEPT_S = 60.0  # a changed block is seen by running processes after this time
_lock = threading.Lock()
_loaded: tuple[float, Services] | None = None
_chosen: Services | None = None


def services() -> Services:
    """Return the services of this process, made from the blocks at most once a minute."""
    global _loaded  # noqa: PLW0603 - one cache a process
    if _chosen is not None:
        return _chosen
    with _lock:
        if _loaded is None or time.monotonic() - _loaded[0] > _KEPT_S:
            fresh = _load()
            _loaded = time.monotonic(), fresh
        return _loaded[1]


def chosen() -> bool:
    """Return whether this process works with services of its own choice, not those of the blocks."""
    return _chosen is not None


@contextmanager
def using(own: Services) -> Iterator[None]:
    """Make every flow and task of this process use these services while the block runs."""
    global _chosen  # noqa: PLW0603 - tasks run in threads of their own, so that a context variable is not seen
    before, _chosen = _chosen, own
    try:
        yield
    finally:
        _chosen = before


def _load() -> Services:
    installation = _default(BlastInstallation)
    return Services(
        database=_default(JobDatabase).database(),
        store=_default(ResultStorage).store(),
        installation=installation.installation,
        targets=installation.targets(),
        limits=_default(BlastQueryLimits).limits,
        policy=_default(ServicePolicy).policy,
        secret=load_secret,
        registry=lambda: _default(LocalRegistry).registry(),
    )


def _default(block: type[BlockT]) -> BlockT:
    try:
        return block.named("default")
    except (ValueError, PrefectException):  # not registered: embedded defaults
        return block()
