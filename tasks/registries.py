"""Opening registries: the local one, and the remotes that it or a block names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import PrefectException, PrefectHTTPStatusError

from blocks.registry import LocalRegistry, RemoteRegistry
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser, binding, bound_users
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.known import Remotes

__all__ = ["local_registry", "open_remote", "remote_names"]


@contextmanager
def local_registry() -> Iterator[Registry]:
    """Open the registry of the block named "default", or the embedded one."""
    registry = (_load(LocalRegistry, "default") or LocalRegistry()).registry()
    try:
        yield registry
    finally:
        registry.close()


@contextmanager
def open_remote(registry: Registry, name: str, user: str = "") -> Iterator[Endpoint]:
    """Open a remote: that of a block, or one that the registry knows by name.

    Args:
        registry: The local one.
        name: Of the remote; empty for the user's, or the only one.
        user: Whose remote; empty for who was bound last.
    """
    end = _remote_block(name).remote(registry, name or _own_remote(registry, user))
    try:
        yield end
    finally:
        end.close()


def _remote_block(name: str) -> RemoteRegistry:
    """Return the block of a remote; an empty one if there is none of its name."""
    return _load(RemoteRegistry, name or "default") or RemoteRegistry()


def remote_names(registry: Registry) -> list[str]:
    """Return what tells every remote from others: of blocks, and of those that the registry knows by name."""
    documents: list[BlockDocument] = []
    with get_client(sync_client=True) as client, suppress(PrefectHTTPStatusError):  # no such block was ever registered
        documents = client.read_block_documents_by_type(RemoteRegistry.get_block_type_slug())
    blocks = [_remote_block(document.name) for document in documents if document.name]
    ends = [block.remote(registry) for block in blocks if block.url]
    for end in ends:
        end.close()
    return sorted({*Remotes(registry).end_names(), *(end.name for end in ends)})


def _own_remote(registry: Registry, user: str) -> str:
    known: RegistryUser | None = binding(registry, user) if user or bound_users(registry) else None
    return known.remote if known else ""


def _load(block: Any, name: str) -> Any:
    try:
        return block.load(name, _sync=True)
    except (ValueError, PrefectException):  # not registered
        return None
