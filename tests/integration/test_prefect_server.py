"""Prefect's server as we run it: on SQLite, and what its pages may load."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.exceptions import RequestValidationError
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.schemas.actions import DeploymentFlowRunCreate
from prefect.server.schemas.states import StateType
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from deployments.prefect_server import (
    FlowPolicy,
    KeepEnd,
    OwnHostOnly,
    WaitForTurn,
    begin_in_turn,
    say_what_is_wrong,
)
from deployments.stack import Stack, home_of_worker

_AS_PREFECT_DOES: Any = AioSqliteConfiguration.begin_transaction


async def _count_up(database: Path, begin: Callable[..., Any], writers: int) -> int:
    """Let some read and then write at the same time, each in a transaction of its own; return what is counted then."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{database}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE IF NOT EXISTS counter (value INTEGER)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))

    async def add() -> None:
        async with await configuration.session(engine) as session, begin(configuration, session):
            await session.execute(text("SELECT value FROM counter"))
            await asyncio.sleep(0.05)
            await session.execute(text("UPDATE counter SET value = value + 1"))

    try:
        # Those that fail must not end the others, whose connections would stay open.
        for failure in await asyncio.gather(*(add() for _ in range(writers)), return_exceptions=True):
            if failure:
                raise failure
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT value FROM counter"))).scalar_one())
    finally:
        await engine.dispose()


def test_prefect_on_sqlite_refuses_who_reads_before_others_write(tmp_path: Path) -> None:
    """The day this fails, Prefect has mended it, and `begin_in_turn` can go."""
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(_count_up(tmp_path / "prefect.db", _AS_PREFECT_DOES, 5))


def test_our_server_on_sqlite_refuses_nobody_who_reads_before_others_write(tmp_path: Path) -> None:
    assert asyncio.run(_count_up(tmp_path / "prefect.db", begin_in_turn, 5)) == 5


def test_session_that_reads_while_its_caller_writes_does_not_wait_for_it(tmp_path: Path) -> None:
    """As where a work queue is paused: Prefect reads it anew for an event before the change is committed."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}")

    async def read_within() -> int:
        engine = await configuration.engine()
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE counter (value INTEGER)"))
        try:
            async with await configuration.session(engine) as session, begin_in_turn(configuration, session):
                await session.execute(text("INSERT INTO counter VALUES (1)"))
                async with await configuration.session(engine) as other:
                    return int((await other.execute(text("SELECT count(*) FROM counter"))).scalar_one())
        finally:
            await engine.dispose()

    assert asyncio.run(asyncio.wait_for(read_within(), 30)) == 0


@pytest.mark.parametrize(
    ("api_url", "connects"),
    [("/api", "connect-src 'self'"), ("https://blast.example.org/api", "connect-src 'self' https://blast.example.org")],
)
def test_pages_load_nothing_from_other_hosts(api_url: str, connects: str) -> None:
    async def policy_of(app: OwnHostOnly) -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            return str((await client.get("/")).headers["content-security-policy"])

    policy = asyncio.run(policy_of(OwnHostOnly(PlainTextResponse("page"), api_url)))
    assert policy.startswith("default-src 'self'; ")
    assert policy.endswith(connects)


def test_form_that_sends_too_much_says_what_to_do() -> None:
    """The pages show what is under `detail`, and "Unknown error" where there is none."""
    with pytest.raises(ValidationError) as raised:
        DeploymentFlowRunCreate(parameters={"query": "M" * 600_000})
    error = RequestValidationError(raised.value.errors(include_context=False))
    answer = asyncio.run(say_what_is_wrong(Request({"type": "http"}), error))
    said = json.loads(bytes(answer.body))
    assert answer.status_code == 422
    assert "must be less than 524,288 bytes" in said["detail"]
    assert "query_file, or send it to the HTTP service." in said["detail"]
    assert said["exception_detail"]  # for Prefect's clients


def test_run_that_has_completed_is_not_cancelled() -> None:
    rules = FlowPolicy.compile_transition_rules(StateType.COMPLETED, StateType.CANCELLED)
    assert KeepEnd in rules
    assert KeepEnd not in FlowPolicy.compile_transition_rules(StateType.RUNNING, StateType.CANCELLED)
    assert len(rules) > 1  # Prefect's own hold too


def test_run_that_is_scheduled_again_may_be_moved_to_another_queue() -> None:
    """That it is, tests of the started services see."""
    assert WaitForTurn in FlowPolicy.compile_transition_rules(StateType.RUNNING, StateType.SCHEDULED)
    assert WaitForTurn not in FlowPolicy.compile_transition_rules(StateType.PENDING, StateType.SCHEDULED)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "192.0.2.7"])  # noqa: S104 - what is to be understood
def test_addresses_that_are_printed_can_be_opened(host: str) -> None:
    """An address to listen on is none to open where it stands for all of them."""
    stack = Stack(4200, host=host)
    assert "0.0.0.0" not in stack.page + stack.web + stack.api_url  # noqa: S104 - as above
    assert stack.page == f"{stack.ui_url}/deployments"
    assert stack.ui_url.endswith(":4200/v2")
    assert stack.api_url == f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:4200/api"  # noqa: S104 - as above


def test_home_of_a_worker_of_an_earlier_version_has_what_is_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it was a directory of each worker's own, made by the first run; and all may have been moved since."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    (tmp_path / "worker-1" / "uploads").mkdir(parents=True)
    (tmp_path / "worker-1" / "targets").symlink_to(tmp_path / "moved" / "targets")
    for name in ("worker-1", "worker-1", "worker-2"):
        own = Path(home_of_worker(name)["MULTIBLAST_HOME"])
        assert [(own / shared).resolve() for shared in ("targets", "uploads")] == [
            tmp_path / "targets",
            tmp_path / "uploads",
        ]
    (tmp_path / "worker-2" / "uploads").unlink()
    (tmp_path / "worker-2" / "uploads").mkdir()
    (tmp_path / "worker-2" / "uploads" / "mine.fasta").touch()
    home_of_worker("worker-2")
    assert (tmp_path / "worker-2" / "uploads" / "mine.fasta").is_file()
