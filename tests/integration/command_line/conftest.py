"""What tests of commands share: commands that run in the process of the test, without Prefect."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.command_line import main, session
from multiblast.reports import Formatting
from multiblast.search import read_submission
from multiblast.services import Services
from tests.support.commands import A, B, Printed


class SlowServer:
    """A Prefect server that takes a moment to start."""

    process = "of our own"

    def wait(self, announce: Callable[[str], None]) -> None:
        announce("Starting Prefect …")


@pytest.fixture
def run(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., Printed]:
    """``run("search", …)``: a command in a directory of its own; flows do their work without Prefect."""
    import flows.make_report
    import flows.submit_query

    async def submit_query(*, user: str, formats: list[str], **given: Any) -> Any:  # noqa: ARG001 - reports come after
        who = services.accounts.requester(user)
        job_id = services.queries.submit(who, read_submission(user=user, **given)).job_id
        return services.queries.run(job_id).execute()

    async def make_report(*, job: str, format: str, options: dict[str, str], user: str) -> Any:  # noqa: A002
        who, formatting = services.accounts.requester(user), Formatting.read(format, options=options)
        return services.reports.run(services.reports.submit(who, job, formatting)).execute()

    monkeypatch.setattr(flows.submit_query, "submit_query", submit_query)
    monkeypatch.setattr(flows.make_report, "make_report", make_report)
    monkeypatch.setattr(session, "start_prefect", SlowServer)
    monkeypatch.setattr(session, "find_prefect", lambda: None)
    monkeypatch.setattr(session, "_services", lambda _root, of_blocks: services)  # noqa: ARG005 - as it is called
    monkeypatch.chdir(tmp_path)
    Path("query.fasta").write_text(f">a\n{A}\n>b\n{B}\n")

    def command(*words: object) -> Printed:
        monkeypatch.setattr(sys, "argv", ["multiblast", *map(str, words)])
        code = main()
        printed = capsys.readouterr()
        return Printed(code, printed.out, " ".join(printed.err.split()))

    return command


@pytest.fixture
def jobs(services: Services) -> Callable[[], list[str]]:
    """``jobs()``: the ids of all jobs that were recorded."""
    return lambda: [job.query_job_id for job in services.queries.list_jobs(services.accounts.requester())]
