"""Parts of reports that are formatted while other sequences of the job are searched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlmodel import col, update

from multiblast.database import JobStatus, Result
from multiblast.errors import ProgramError
from multiblast.files import own_scratch
from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.reports.early_parts import EarlyParts
from multiblast.reports.exactness import first_difference
from multiblast.search import Batch, SearchRun, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.people import ADMINISTRATOR
from tests.support.processes import is_running, wait_for
from tests.support.sequences import fasta

FORMATS = [Formatting.read_outfmt(text) for text in ("0", "5", "6 std stitle", "15", "17")]


@dataclass
class Halves:
    """A job of two batches, the first of which is searched."""

    services: Services
    run: SearchRun
    last: Batch
    early: EarlyParts

    def report(self, formatting: Formatting, early: EarlyParts | None = None) -> bytes:
        reports = self.services.reports
        report_id = reports.submit(ADMINISTRATOR, self.run.job_id, formatting)
        made = replace(reports.run(report_id), early=early).execute()
        with reports.file(ADMINISTRATOR, report_id, made.files[0].name) as stream:
            return stream.read()

    def finish(self) -> None:
        self.run.search(self.last)
        self.run.finish()

    def format_all_ready(self) -> int:
        count = 0
        while made := self.early.format_ready():
            count += made
        return count

    @property
    def kept(self) -> list[Path]:
        return [path for path in Path(self.early._place.name).iterdir() if path.is_file()]


@pytest.fixture
def start(
    make_services: Callable[..., Services], nucleotides: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Halves]:
    """``start(most_bytes=…)``: half a job of twelve sequences, of which reports are made in parts of three."""
    monkeypatch.setattr("multiblast.reports.writer._LEAST_QUERIES_PER_FORMATTER", 1)
    services = make_services(cores=2)

    def start(**settings: Any) -> Halves:
        targets = ["demo/examples/nucleotides"]
        submission = read_submission(query=fasta(nucleotides), program="blastn", targets=targets, options={})
        run = services.queries.run(services.queries.submit(ADMINISTRATOR, submission).job_id)
        plan = run.plan()
        whole = replace(plan.batches[0], positions=tuple(range(1, 13)))
        run.start(plan)
        run.search(replace(whole, positions=(1, 2, 3, 4, 5, 6, 7)))
        early = EarlyParts(services.reports._engine, run.job_id, FORMATS, **settings)
        return Halves(services, run, replace(whole, positions=(8, 9, 10, 11, 12)), early)

    return start


def test_reports_take_parts_that_were_made_before_the_last_batch(
    start: Callable[..., Halves], nucleotides: list[Sequence], tmp_path: Path
) -> None:
    """Their bytes are those of plain BLAST+."""
    job = start()
    with job.early:
        assert job.format_all_ready() == 2 * len(FORMATS)
        assert job.early.format_ready() == 0  # the third part waits for its sequences
        job.finish()
        assert len(job.kept) == 2 * len(FORMATS)
        reports = [job.report(formatting, job.early) for formatting in FORMATS]
        assert job.kept == []
    query, out = tmp_path / "query.fasta", tmp_path / "plain.out"
    query.write_text(fasta(nucleotides))
    database = job.services.targets.resolve("demo", "examples", "nucleotides").path
    for formatting, report in zip(FORMATS, reports, strict=True):
        command = ["blastn", "-query", query, "-db", database, "-outfmt", formatting.outfmt, "-out", out]
        subprocess.run(command, check=True)
        with out.open("rb") as plain:
            assert first_difference(plain, BytesIO(report), formatting) == ""


def test_part_of_another_result_is_not_taken(start: Callable[..., Halves]) -> None:
    job = start()
    with job.early:
        made = job.format_all_ready()
        job.finish()
        children = list(job.services.queries.jobs.children(job.services.queries.jobs.query(job.run.job_id)))
        with job.services.database.write() as session:
            changed = update(Result).where(col(Result.key) == children[0].result_key)
            before = session.get_one(Result, children[0].result_key).digest
            session.exec(changed.values(digest="0" * 64))
        context = job.services.reports._engine.resolver.context(job.services.queries.jobs.query(job.run.job_id))
        assert job.early.take(children[:3], 1, FORMATS[0], context) is None
        assert job.early.take(children[3:6], 4, FORMATS[0], context) is not None
        assert job.early.take(children[3:6], 4, Formatting.read_outfmt("1"), context) is None
        with job.services.database.write() as session:
            session.exec(changed.values(digest=before))
        assert len(job.kept) == made  # nobody has moved it
        assert job.early.take(children[:3], 1, FORMATS[0], context) is not None


def test_no_more_is_kept_than_is_allowed(start: Callable[..., Halves]) -> None:
    job = start(most_bytes=0)
    with job.early:
        assert job.format_all_ready() == len(FORMATS)


def test_no_part_is_begun_while_all_cores_are_busy(start: Callable[..., Halves]) -> None:
    looks, looked = list[float](), Event()

    def idle_cores() -> float:
        looks.append(0.5)
        if len(looks) == 3:
            looked.set()
        return looks[-1]

    job = start(idle_cores=idle_cores)
    with job.early:
        job.early.start()
        assert looked.wait(60)
        assert job.kept == []


def test_what_is_being_formatted_at_the_end_is_not_waited_for(start: Callable[..., Halves], tmp_path: Path) -> None:
    job, pid = start(), tmp_path / "pid"
    programs = _with_formatter(job, tmp_path, f'echo $$ > "{pid}.new"; mv "{pid}.new" "{pid}"; exec sleep 60')
    engine = replace(job.services.reports._engine, installation=Installation(programs))
    with EarlyParts(engine, job.run.job_id, FORMATS, idle_cores=lambda: 1) as early:
        early.start()
        wait_for(pid.exists, 25)
        early.stop()
        wait_for(lambda: not is_running(int(pid.read_text())), 25)
        assert not early.dropped


def test_run_that_ends_half_way_leaves_nothing(start: Callable[..., Halves]) -> None:
    job = start(idle_cores=lambda: 1)
    with job.early:
        job.early.start()
        place = Path(job.early._place.name)
        assert place.exists()
    assert not place.exists()
    assert job.early._thread is not None
    assert not job.early._thread.is_alive()


def _with_formatter(job: Halves, directory: Path, does: str) -> Path:
    """Return a directory of programs whose formatter does something else."""
    programs = directory / "programs"
    programs.mkdir()
    for name in ("blastn", "blastdbcmd"):
        (programs / name).symlink_to(job.services.installation.program(name))
    formatter = programs / "blast_formatter"
    formatter.write_text(f'#!/bin/sh\n[ "$1" = -version ] && echo "blast_formatter: 2.12.0+" && exit\n{does}\n')
    formatter.chmod(0o755)
    return programs


_RUN = """
import sys
from pathlib import Path
from multiblast.database import Database
from multiblast.files import own_scratch
from multiblast.installation import Installation
from multiblast.reports import writer
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
url, store, programs, targets, job = sys.argv[1:]
writer._LEAST_QUERIES_PER_FORMATTER = 1
installation = Installation(Path(programs), cores=2)
services = Services(Database(url), LocalStore(store), installation, Targets(Path(targets)), QueryLimits())
with own_scratch(), services.wanted_reports.early_parts(job) as early:
    early._idle_cores = lambda: 1
    early.start()
    sys.stdin.read()
"""


def test_killed_process_leaves_neither_formatter_nor_files(
    start: Callable[..., Halves], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had in its directory for temporary files, the next process removes."""
    services, job_id = (job := start()).services, job.run.job_id
    scratch, pid = tmp_path / "scratch", tmp_path / "pid"
    scratch.mkdir()
    services.wanted_reports.record(ADMINISTRATOR, job_id, FORMATS[:1])
    programs = _with_formatter(job, tmp_path, f'echo $$ > "{pid}.new"; mv "{pid}.new" "{pid}"; exec sleep 60')
    places = [services.database.url, tmp_path / "home" / "store", programs, services.targets.root]
    command = [sys.executable, "-c", _RUN, *map(str, places), job_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": str(scratch)}) as process:
        wait_for(pid.exists, 25)
        assert list(scratch.rglob("*.asn1"))
        process.kill()
    wait_for(lambda: not is_running(int(pid.read_text())), 10)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with own_scratch():
        pass
    assert list(scratch.iterdir()) == []


def test_report_of_a_run_that_is_stopped_is_left_to_the_next(start: Callable[..., Halves], tmp_path: Path) -> None:
    """Its formatter ends, and reconciling finds it in progress by a run that has ended."""
    job, pid = start(), tmp_path / "pid"
    job.finish()
    report_id = job.services.reports.submit(ADMINISTRATOR, job.run.job_id, FORMATS[0])
    programs = _with_formatter(job, tmp_path, f'echo $$ > "{pid}.new"; mv "{pid}.new" "{pid}"; exec sleep 60')
    engine = replace(job.services.reports._engine, installation=Installation(programs))
    with ThreadPoolExecutor(1) as pool:
        with EarlyParts(engine, job.run.job_id, FORMATS) as early:
            report = replace(job.services.reports.run(report_id), engine=engine, early=early)
            made = pool.submit(report.execute)
            wait_for(pid.exists, 25)
        assert isinstance(made.exception(), ProgramError)
    assert job.services.queries.jobs.report(report_id).status == JobStatus.IN_PROGRESS
    job.services.reports.run(report_id).execute()
    assert job.services.queries.jobs.report(report_id).status == JobStatus.COMPLETE


def test_parts_that_cannot_be_made_are_left_to_the_report(
    start: Callable[..., Halves], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = start()
    programs = _with_formatter(job, tmp_path, "exit 3")
    engine = replace(job.services.reports._engine, installation=Installation(programs))
    broken = EarlyParts(engine, job.run.job_id, FORMATS, idle_cores=lambda: 1)
    with broken, caplog.at_level("INFO"):
        broken.start()
        assert broken._thread is not None
        broken._thread.join()
        assert "formats no parts of reports early" in caplog.text
        job.finish()
        assert job.report(FORMATS[0], broken).count(b"Query=") == 12
