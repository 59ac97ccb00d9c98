"""A report that is being made can be stopped."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.errors import FailureClass, ProgramError
from multiblast.reports import Formatting
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services

ANN = Requester("ann")


@pytest.mark.parametrize("format", ["6 std stitle", "html", "parquet"])
def test_cancel_stops_the_formatter_and_the_report_can_be_made_again(
    format: str,  # noqa: A002 - BLAST+'s own word for it
    make_services: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    tmp_path: Path,
) -> None:
    query = search_whole(make_services(), proteins[0].canonical.decode(), user="ann").job_id
    programs, pid_file = tmp_path / "bin", tmp_path / "pid"
    programs.mkdir()
    (programs / "blastp").symlink_to(str(shutil.which("blastp")))
    formatter = programs / "blast_formatter"
    formatter.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nexec sleep 60\n")
    formatter.chmod(0o755)
    slow = make_services(directory=programs)
    report = slow.reports.submit(ANN, query, Formatting.read_outfmt(format))
    raised: list[ProgramError] = []

    def make() -> None:
        try:
            slow.reports.run(report).execute()
        except ProgramError as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    while not pid_file.exists() or not pid_file.read_text():
        time.sleep(0.05)
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
