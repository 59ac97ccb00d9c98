"""One command's session: a Prefect server to run flows on, and the services they use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from deployments.command_line.display import console, working
from deployments.server import PrefectServer, ask, running_server, start_prefect
from multiblast.services import Services

__all__ = ["Session", "local_services", "session"]

ResultT = TypeVar("ResultT")


class Session:
    """Runs flows for a command.

    Args:
        server: The Prefect server they are recorded on, perhaps still starting.
        services: What they work with; None: what the server's blocks say.
    """

    def __init__(self, server: PrefectServer, services: Services | None) -> None:
        self._server, self.services = server, services

    def run(self, flow: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run one flow to its end."""
        from blocks.services import using

        if self.services is None:
            return asyncio.run(flow())
        with using(self.services):
            return asyncio.run(flow())

    def wait(self) -> None:
        """Wait for the server, and say so if it takes a moment."""
        with working("Connecting to Prefect …"):
            self._server.wait(lambda text: console.print(f"[dim]{text}[/dim]", highlight=False))


@contextmanager
def session(targets_root: Path | None = None) -> Iterator[Session]:
    """Start what flows need; the server comes up while the command does its own work.

    Args:
        targets_root: Where the databases are, instead of where the blocks say.
    """
    server = start_prefect()
    yield Session(server, None if server.process is None and targets_root is None else local_services(targets_root))


def local_services(targets_root: Path | None = None) -> Services:
    """Return the services for reading actions: of the running server's blocks if there is one, else embedded."""
    if targets_root is None and (api_url := running_server()) and not _has_default_blocks(api_url):
        import os

        os.environ.setdefault("PREFECT_API_URL", api_url)
        from blocks.services import services

        return services()
    return Services.embedded(targets_root)


def _has_default_blocks(api_url: str) -> bool:
    """Tell whether a server's blocks say what is so without them; asked without Prefect, which takes seconds to import.

    A server that does not answer this is asked by Prefect, which knows more ways.
    """
    wanted = {"block_documents": {"name": {"any_": ["default"]}}, "include_secrets": True}
    try:
        found = ask(api_url, "/block_documents/filter", wanted)
        return all(
            block["data"].get(name, field.get("default")) == field.get("default")
            for block in found
            if block["block_type"]["slug"].startswith("blast-")
            for name, field in block["block_schema"]["fields"]["properties"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
