"""A run's surroundings: its names and tags, who requests it, its files, what it runs on, and when it tries again."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import Pause, PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run, task_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task
from prefect.utilities.engine import propose_state

from blocks.secrets import load_secret
from blocks.services import services
from multiblast.accounts import GUEST, Requester
from multiblast.accounts.job_rights import first_owner
from multiblast.environment import TASK_RUNNER
from multiblast.errors import InvalidInputError, MultiblastError, Problem
from multiblast.outages import PAUSES_S, is_outage, is_transient
from multiblast.settings import home

_LONGEST = 60
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_SECRET = "secret:"  # noqa: S105 - not one, but what stands before the name of one
_requester: Requester | None = None


def submission_name() -> str:
    """Name a submission: ``blastp · uniprot · summary``."""
    parameters = flow_run.parameters
    options = parameters.get("options")
    program = parameters.get("program") or getattr(options, "program", "")
    targets = ", ".join(target.rpartition("/")[2] for target in parameters.get("targets", []))
    return " · ".join(part for part in (program, _short(targets), _short(parameters.get("summary", ""))) if part)


def job_name() -> str:
    """Name a run by its job alone: see `name_of`."""
    return name_of(str(flow_run.parameters["job"]))


def name_of(job_id: str) -> str:
    """Name the run of a job: ``blastp · uniprot · 3ab570ed``; by no more than the id if the job cannot be read."""
    try:
        return f"{_short(services().queries.jobs.outline(job_id))} · {job_id:.8}"
    except Exception as error:
        if not (isinstance(error, MultiblastError) or is_outage(error)):
            raise
        return f"run {job_id:.8}"  # which says itself what is wrong


def sequence_name() -> str:
    """Name a sequence by its defline, or by its position alone where names are private."""
    row = task_run.parameters["row"]
    return f"{row.position} {_short(row.name) or 'untitled'}" if services().policy.names_in_runs else f"{row.position}"


@contextmanager
def names_kept_out() -> Iterator[None]:
    """Let what is wrong with a query name its records by their numbers alone, where names are private."""
    try:
        yield
    except InvalidInputError as error:
        if services().policy.names_in_runs:
            raise
        problems = [replace(each, message=unnamed(each.message)) if each.record else each for each in error.problems]
        raise InvalidInputError(problems) from None


def unnamed(message: str) -> str:
    """Return a message about a record without what it quotes of that, but for single letters."""
    return _QUOTED.sub(lambda quoted: quoted[0] if len(quoted[0]) == len("'X'") else "…", message)


async def tag_run(*job_ids: str) -> None:
    """Let the flow run be found by its jobs, and by its user."""
    parameters = flow_run.parameters
    async with best_effort("tagged"):
        users = {str(parameters["user"])} if "user" in parameters else await asyncio.to_thread(first_users, job_ids)
        tags = sorted({*flow_run.tags, *job_ids, *users} - {""})
        if tags == sorted(flow_run.tags):  # as of a run that the HTTP service started for nobody in particular
            return
        async with get_client() as client:
            await client.update_flow_run(UUID(flow_run.id), tags=tags)


def first_users(job_ids: Iterable[str]) -> set[str]:
    """Return who submitted jobs first, where names may be shown; nobody knows a guest by name."""
    if not services().policy.names_in_runs:
        return set()
    return {owner for job in job_ids if not (owner := first_owner(services().database, job)).startswith(GUEST)}


async def leave_as(state: State[Any]) -> None:
    """Give the run a state that flows do not end in, and end it at once; returns if the server gives it another one.

    Raises:
        Pause: Prefect's signal for this.
    """
    async with get_client() as client:
        given = await propose_state(client, state, UUID(flow_run.id))
    if given.type == state.type:
        raise Pause(state=given)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@contextmanager
def requested_by(who: Requester) -> Iterator[None]:
    """Make every run of this process that person's request: a command knows, and may not write a token into a form."""
    global _requester  # noqa: PLW0603 - tasks run in threads of their own, so that a context variable is not seen
    before, _requester = _requester, who
    try:
        yield
    finally:
        _requester = before


def requester(user: str, share: str = "") -> Requester:
    """Return whose request this run is: a user's, by name, or a guest's, by ``secret:`` and the name of a Secret block.

    The block holds the guest's token, as that of ``share`` holds the token of a shared job; either may be empty.
    """
    if _requester is not None:
        return _requester
    shares = [_token(share.removeprefix(_SECRET), "share")] if share else []
    if user.startswith(_SECRET):
        token = _token(user.removeprefix(_SECRET), "user")
        return services().accounts.requester(guest_token=token, share_tokens=shares)
    return services().accounts.requester(user, share_tokens=shares)


def _token(name: str, key: str) -> str:
    try:
        return load_secret(name)
    except ValueError as error:
        raise InvalidInputError(Problem(f"there is no Secret block {name!r}: save the token in one", key)) from error


def upload_directory() -> Path | None:
    """Return the one directory whose files a run may read as queries.

    A script or the command line reads whatever its user can read (None); a
    deployment runs for other people and reads only the directory for uploads.
    """
    if not deployment.id:
        return None
    directory = home() / "uploads"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def task_runner() -> TaskRunner[Any]:
    """Return the task runner that ``MULTIBLAST_TASK_RUNNER`` names, by default of threads.

    It is written ``MODULE.CLASS?ARGUMENT=VALUE``, such as ``prefect_dask.DaskTaskRunner?address=tcp://host:8786``.
    """
    name, _, arguments = os.environ.get(TASK_RUNNER, "").partition("?")
    if not name:
        return ThreadPoolTaskRunner()
    module, _, runner = name.rpartition(".")
    made: TaskRunner[Any] = getattr(import_module(module), runner)(**dict(parse_qsl(arguments)))
    return made


def is_cluster() -> bool:
    """Return whether something else than this machine runs tasks, and knows how many at a time."""
    return bool(os.environ.get(TASK_RUNNER))


def _may_pass(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False, _sync=True)  # type: ignore[call-overload]  # added by Prefect's decorator
    return isinstance(error, BaseException) and is_transient(error)


RETRY_IF_TRANSIENT: Any = {
    "retries": len(PAUSES_S),
    "retry_delay_seconds": [*PAUSES_S],
    "retry_condition_fn": _may_pass,
}
"""How a task is declared that may simply be done again: see `multiblast.outages.patiently`."""


@asynccontextmanager
async def best_effort(shown: str = "shown on its page") -> AsyncIterator[None]:
    """Do what is in the block, or in the function it decorates; if a server is away, only the log says so."""
    try:
        yield
    except Exception as error:
        if not (isinstance(error, HTTPError | PrefectException) or is_outage(error)):
            raise
        get_run_logger().warning("Something of the run was not %s: %s", shown, error)
