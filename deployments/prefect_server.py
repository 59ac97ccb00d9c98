"""Prefect's server as we run it: ``python -m deployments.prefect_server HOST PORT``."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from prefect.server.api import server as prefect_server
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.models import workers
from prefect.server.orchestration.core_policy import CoreFlowPolicy
from prefect.server.orchestration.dependencies import ORCHESTRATION_DEPENDENCIES
from prefect.server.orchestration.rules import FlowRunOrchestrationRule
from prefect.server.schemas.states import StateType
from prefect.settings import get_current_settings
from starlette.responses import JSONResponse

from deployments import environment
from multiblast.settings import LARGE_QUEUE, QUEUED

if TYPE_CHECKING:
    from fastapi.exceptions import RequestValidationError
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TURN_S = 120
_workers: Any = workers  # Prefect's decorator hides the types
_say_for_programs = prefect_server.validation_exception_handler
_begin = AioSqliteConfiguration.begin_transaction


@asynccontextmanager
async def begin_in_turn(
    configuration: AioSqliteConfiguration,
    session: AsyncSession,
    with_for_update: bool = False,  # noqa: ARG001 - Prefect's signature
) -> AsyncIterator[AsyncSessionTransaction]:
    """Begin a transaction on SQLite with the right to write, when those have ended that came before.

    Prefect begins most of its transactions by reading. SQLite refuses such a one its first write, at once
    and whatever the time-out, if another has written since ("database is locked"). One with the right to
    write waits, but in no order, so that some wait for more than the minute after which they are refused too.
    """
    turns: asyncio.Lock = vars(configuration).setdefault("turns", asyncio.Lock())
    in_turn = False
    with suppress(TimeoutError):  # as if it were begun within another: then SQLite decides
        async with asyncio.timeout(_TURN_S):
            in_turn = await turns.acquire()
    try:
        async with _begin(configuration, session, with_for_update=True) as transaction:
            await session.connection()  # now, not at the first statement
            mode = SQLITE_BEGIN_MODE.set(None)  # a session within this one only reads, and must not wait for its end
            try:
                yield transaction
            finally:
                SQLITE_BEGIN_MODE.reset(mode)
    finally:
        if in_turn:
            turns.release()


class KeepEnd(FlowRunOrchestrationRule):
    """Leaves a run that has completed as it is when it is cancelled, as by somebody whose page is a moment old."""

    FROM_STATES: set[StateType | None] = {StateType.COMPLETED}  # noqa: RUF012 - as Prefect has it
    TO_STATES: set[StateType | None] = {StateType.CANCELLED}  # noqa: RUF012 - as above

    async def before_transition(self, *_transition: Any) -> None:
        """Refuse."""
        await self.abort_transition("The run has completed: there is nothing to cancel.")


class WaitForTurn(FlowRunOrchestrationRule):
    """Lets a run that goes back to its scheduled state, since its job is to wait, wait in the queue for that."""

    FROM_STATES: set[StateType | None] = {StateType.RUNNING}  # noqa: RUF012 - as Prefect has it
    TO_STATES: set[StateType | None] = {StateType.SCHEDULED}  # noqa: RUF012 - as above

    async def before_transition(self, _initial: Any, proposed: Any, context: Any) -> None:
        """Change the queue, and forget the process, so that the run is cancelled at once where that is wanted."""
        if proposed.name != QUEUED or context.run.work_queue_id is None:
            return
        here = await _workers.read_work_queue(context.session, context.run.work_queue_id)
        pool = await _workers.read_work_pool(context.session, here.work_pool_id)
        queue = await _workers.read_work_queue_by_name(context.session, pool.name, LARGE_QUEUE)
        context.run.work_queue_id = (queue or here).id
        context.run.infrastructure_pid = None


class FlowPolicy(CoreFlowPolicy):
    """Prefect's rules for the states of runs, and ours."""

    @staticmethod
    def priority() -> list[Any]:
        """Return the rules in the order in which they are asked."""
        return [KeepEnd, WaitForTurn, *CoreFlowPolicy.priority()]


async def say_what_is_wrong(request: Request, exc: RequestValidationError) -> JSONResponse:
    """Answer a request that is not valid, in ``detail`` too, the one place where the pages look for a reason."""
    answer = await _say_for_programs(request, exc)
    said = "; ".join(str(one["msg"]) for one in exc.errors())
    if "when serialized" in said:  # Prefect's words for more than 512 KB
        said += " Put a large query into a file and name it in query_file, or send it to the HTTP service."
    content = {"exception_message": "Invalid request received.", "detail": said, **json.loads(bytes(answer.body))}
    return JSONResponse(content, answer.status_code)


async def _flow_policy() -> type[FlowPolicy]:
    return FlowPolicy


class OwnHostOnly:
    """Lets a browser load what Prefect's pages ask for from this server alone: they would ask a service of analytics.

    Prefect's settings switch the sending off, and not the look-up of how to send.
    """

    def __init__(self, app: ASGIApp, api_url: str = "") -> None:
        self._app = app
        # Where the user chose another address for the API, the pages may ask that one too.
        address = urlsplit(api_url)
        api = f" {address.scheme}://{address.netloc}" if address.netloc else ""
        policy = (
            "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'{api}"
        )
        self._header = (b"content-security-policy", policy.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the server does, with one header more."""

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self._header]
            await send(message)

        await self._app(scope, receive, send_more)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start while no other does: two servers that migrate one database at once would break each other."""
        with (environment.prefect_home() / "starting.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            await super().startup(sockets)


def serve(*, temporary: bool = False, sockets: list[socket.socket] | None = None, **where: Any) -> None:
    """Serve until asked to stop, on sockets or on a ``host`` and a ``port``."""
    AioSqliteConfiguration.begin_transaction = begin_in_turn  # type: ignore[assignment, method-assign]  # no such setting
    prefect_server.validation_exception_handler = say_what_is_wrong
    ORCHESTRATION_DEPENDENCIES["flow_policy_provider"] = _flow_policy
    server = get_current_settings().server
    app = OwnHostOnly(prefect_server.create_app(ephemeral=temporary, final=True), server.ui.api_url or "")
    level = "warning" if temporary else server.logging_level.lower()
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_level=level,
        access_log=not temporary,
        timeout_keep_alive=server.api.keepalive_timeout,
        **where,
    )
    _Server(config).run(sockets)


if __name__ == "__main__":
    serve(host=sys.argv[1], port=int(sys.argv[2]))
