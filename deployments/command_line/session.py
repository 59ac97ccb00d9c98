"""One command's session: the services it works with, who requests it, and a Prefect server to run flows on."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deployments.command_line.arguments import GUEST_TOKEN, SHARE_TOKENS, USER
from deployments.command_line.display import say, working
from deployments.server import PrefectServer, ask, find_prefect, running_server, start_prefect, started_server, use
from multiblast.environment import TASK_RUNNER

if TYPE_CHECKING:
    from multiblast.accounts import Requester
    from multiblast.services import Services
    from multiblast.settings import Policy
    from multiblast.targets import Targets

ResultT = TypeVar("ResultT")


class Session:
    """Runs flows for a command, recorded on the server that runs, or on one of its own.

    Args:
        targets_root: Where databases are, if elsewhere than is configured.
        user: Who requests them; by default whom the environment names, empty for a guest, or nobody.
        early: Whether a server of its own comes up while the command does its own work, or only if a flow is to run.
    """

    def __init__(self, targets_root: Path | None = None, user: str = "", *, early: bool = True) -> None:
        self._targets_root = targets_root
        self.user = user or os.environ.get(USER, "")
        self._server = start_prefect() if early else find_prefect()

    @cached_property
    def services(self) -> Services:
        """What the flows work with: what the blocks of a running server say; one of our own has none."""
        if self._other is None:
            return _services(self._targets_root, of_blocks=False)
        self.wait()
        has_own_blocks = not (self._other.api_url and _has_default_blocks(self._other.api_url))
        return _services(self._targets_root, of_blocks=has_own_blocks)

    @property
    def _other(self) -> PrefectServer | None:
        """The server, unless it is one of its own."""
        return None if self._server is None or self._server.process else self._server

    @property
    def stack(self) -> str:
        """The API address of what ``make up`` started, if that runs jobs for this command; else empty.

        It does not know another targets root, nor run flows as this command would where a cluster is chosen for that.
        """
        if self._other is None or self._targets_root or TASK_RUNNER in os.environ:
            return ""
        return self._other.api_url if self._other.api_url == started_server() else ""

    @property
    def works_here(self) -> bool:
        """Whether work is done without Prefect, which takes seconds to import, and more to serve.

        Not where the user has chosen a server or a cluster, which then has the record or the work.
        """
        return bool(self.stack) or self.is_alone

    @property
    def is_alone(self) -> bool:
        """Whether there is neither a server nor a cluster, so that whatever is done is done here."""
        return self._other is None and TASK_RUNNER not in os.environ

    @property
    def requester(self) -> Requester:
        """Who requests what the command does."""
        return requester(self.services, self.user)

    @contextmanager
    def connected(self, shown: AbstractContextManager[None]) -> Iterator[None]:
        """Wait for the server, then run the block, in which flows can run, with something shown meanwhile."""
        self.wait()
        with shown:
            yield

    def wait(self) -> None:
        """Wait for the server, and show that if it takes a moment."""
        with working("Connecting to Prefect …"):
            self._server = self._server or start_prefect()
            if self._server.process:
                import prefect.flows  # noqa: F401 - while the server starts, which takes longer
            self._server.wait(say)

    def run(self, flow: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run one flow to its end, as the requester, once `connected`."""
        import asyncio

        from blocks.services import using
        from tasks.runs import requested_by

        # With the services of the server's own blocks, a flow may also call other workers.
        own = using(self.services) if self._targets_root or self._other is None else nullcontext()
        with own, requested_by(self.requester):
            return asyncio.run(flow())


def local_services(targets_root: Path | None = None) -> Services:
    """Return the services that are configured: by the blocks of the server that is in use, else embedded."""
    return _services(targets_root, of_blocks=_uses_blocks())


def local_targets(targets_root: Path | None = None) -> Targets:
    """Return the databases that are configured; unlike `local_services` it imports nothing else."""
    if _uses_blocks():
        return _services(targets_root, of_blocks=True).targets
    from multiblast.targets import Targets

    return Targets(targets_root) if targets_root else Targets.own()


def local_policy() -> Policy:
    """Return the policy that is configured; unlike `local_services` it makes no directory."""
    if not _uses_blocks():
        from multiblast.settings import Policy

        return Policy()
    return _services(None, of_blocks=True).policy


def _uses_blocks() -> bool:
    """Return whether blocks of a server count, and connect to it."""
    api_url = os.environ.get("PREFECT_API_URL", "") or running_server()
    of_blocks = "PREFECT_PROFILE" in os.environ or bool(api_url and not _has_default_blocks(api_url))
    if of_blocks and api_url:
        use(api_url)
    return of_blocks


def _services(targets_root: Path | None, *, of_blocks: bool) -> Services:
    if of_blocks:
        from blocks.services import services

        found = services()
    else:
        from multiblast.services import Services

        found = Services.embedded()
    if targets_root is None:
        return found
    from multiblast.targets import Targets

    return replace(found, targets=Targets(targets_root, found.targets.layout.pattern))


def requester(services: Services, user: str = "") -> Requester:
    """Return who requests a command; tokens come from the environment, since what is typed is seen by others."""
    user = user or os.environ.get(USER, "")
    guest = "" if user else os.environ.get(GUEST_TOKEN, "")
    return services.accounts.requester(user, guest_token=guest, share_tokens=os.environ.get(SHARE_TOKENS, "").split())


def _has_default_blocks(api_url: str) -> bool:
    """Whether a server's blocks say what is so without them; asked without Prefect, which takes seconds to import.

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
