"""A report that is being made can be stopped."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.errors import FailureClass, ProgramError
from multiblast.reports import Formatting
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.processes import wait_for

ANN = Requester("ann")


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where the formatter writes its number once it runs, which then takes a minute."""
    return tmp_path / "pid"


@pytest.fixture
def slow(
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
    pid_file: Path,
) -> Services:
    """Services whose formatter takes a minute, with a job of ann's that is complete."""
    search_whole(make_services(), proteins[0].canonical.decode(), user="ann")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "blastp").symlink_to(str(shutil.which("blastp")))
    formatter = programs / "blast_formatter"
    formatter.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 60\n")
    formatter.chmod(0o755)
    return make_services(directory=programs)


def submit(services: Services, format: str) -> str:  # noqa: A002 - BLAST+'s own word for it
    [job] = services.queries.list_jobs(ANN)
    return services.reports.submit(ANN, job.query_job_id, Formatting.read_outfmt(format))


@pytest.mark.parametrize("format", ["6 std stitle", "html", "parquet"])
def test_cancel_stops_the_formatter_and_the_report_can_be_made_again(
    format: str,  # noqa: A002 - BLAST+'s own word for it
    make_services: Callable[..., Services],
    slow: Services,
    pid_file: Path,
) -> None:
    report = submit(slow, format)
    raised: list[ProgramError] = []

    def make() -> None:
        try:
            slow.reports.run(report).execute()
        except ProgramError as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    slow.reports.cancel(ANN, report)
    thread.join(timeout=10)
    assert raised[0].failure_class is FailureClass.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    cancelled = slow.reports.lookup(ANN, report)
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by its user")
    whole = make_services()
    whole.reports.restart(ANN, report)
    assert whole.reports.run(report).execute().status == "complete"


class Stopped(BaseException):
    """As what Prefect raises in a run when its worker is stopped."""


def test_stopped_run_leaves_its_report_in_progress(slow: Services, pid_file: Path) -> None:
    """It has not failed: what watches over runs lets it be made again."""
    report = submit(slow, "0")

    def stop(*_signal: object) -> None:
        raise Stopped

    def send() -> None:
        wait_for(lambda: pid_file.exists() and pid_file.read_text())
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        threading.Thread(target=send).start()
        with pytest.raises(Stopped):
            slow.reports.run(report).execute()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert slow.reports.lookup(ANN, report).status == "in-progress"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
