"""Searches that are not small where there is no server: done by the command itself, with all that a run promises."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path

import pytest
from sqlmodel import select

from multiblast.actions.job_door import ABANDONED
from multiblast.database import BatchRun, Lease, Result, Run, utc_now
from multiblast.errors import ConflictError, FailureClass, ProgramError
from multiblast.jobs import MADE_BY_SEARCH
from multiblast.reports import Formatting
from multiblast.reports.exactness import first_difference
from multiblast.results.holders import PROCESS_RUN
from multiblast.search import SearchedJob, SearchRun, read_submission
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.upkeep.reconciliation import Reconciliation
from tests.support.people import ADMINISTRATOR
from tests.support.places import EXAMPLES
from tests.support.processes import blast_processes, unset_environment, wait_for

TARGET = ("--target", "demo/examples/proteins")
LATER = timedelta(minutes=11)
MANY = 30  # sequences; that is more than a small search, as nobody knows how long it takes

# The real one, but each process of it after the first, if there is a file "slow", waits until that is gone.
BLASTP = """#!/bin/sh
if [ "$1" = -query ]; then
    mkdir {place}/begun 2>/dev/null || while [ -e {place}/slow ]; do sleep 0.1; done
fi
exec {real} "$@"
"""


@pytest.fixture
def home(tmp_path: Path, services: Services) -> Path:
    """A home with the demo databases, and a directory of programs to find first; `services` are in it, too."""
    home = tmp_path / "home"
    (home / "targets").symlink_to(services.targets.root)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "blastp"
    script.write_text(BLASTP.format(place=tmp_path, real=shutil.which("blastp")))
    script.chmod(0o755)
    return home


@pytest.fixture
def query(tmp_path: Path) -> Path:
    """A file of sequences, the last of which is the first again."""
    some = records(MANY)
    path = tmp_path / "query.fasta"
    path.write_bytes(b"".join([*some, some[0].replace(b">", b">again ", 1)]))
    return path


def records(count: int) -> list[bytes]:
    """The first sequences of the example's proteins."""
    with gzip.open(EXAMPLES / "proteins.fasta.gz") as stream:
        return [record.canonical for record in islice(read_fasta(stream.read()), count)]


@contextmanager
def started(home: Path, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own; it prints at the end which slow imports it made."""
    code = (
        "import sys; from deployments.command_line import main; code = main();"
        "print('imported', *sys.modules.keys() & {'prefect', 'alembic'}, file=sys.stderr); sys.exit(code)"
    )
    own = unset_environment()
    own |= {"MULTIBLAST_HOME": str(home), "PATH": f"{home.parent / 'bin'}:{own['PATH']}"}
    command = [sys.executable, "-c", code, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=home.parent, env=own, text=True, **pipes) as process:  # type: ignore[call-overload]  # of the same kinds
        try:
            yield process
        finally:
            process.kill()


def done(home: Path, *words: object) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it printed."""
    with started(home, *words) as process:
        printed, said = process.communicate(timeout=300)
        return process.returncode, printed, said


def rows(services: Services, table: type) -> list:  # type: ignore[type-arg]  # of whatever is asked for
    with services.database.read() as session:
        return list(session.exec(select(table)))


def test_large_search_equals_plain_blast_and_is_recorded_whole(home: Path, query: Path, services: Services) -> None:
    """Its reports are those of its run, and no server was needed."""
    formats = ("--format", "5", "--format", "6", "--user", "ann", "--out", "out")
    code, printed, said = done(home, "search", query, *TARGET, *formats, "--json")
    assert (code, said.split("\n")[-2:]) == (0, ["imported", ""]), said
    job = json.loads(printed)["job"]
    assert (job["searched"], job["status"]) == (MANY, "complete")
    database = home / "targets" / "demo" / "examples" / "blast" / "proteins"
    for number, name in ((5, "report.xml"), (6, "report.tsv")):
        plain = home.parent / "plain"
        subprocess.run(["blastp", "-query", query, "-db", database, "-outfmt", str(number), "-out", plain], check=True)
        ours = BytesIO((home.parent / "out" / f"format-{number}" / name).read_bytes())
        assert not first_difference(BytesIO(plain.read_bytes()), ours, Formatting.read(number))
    history = services.queries.jobs.history(job["job_id"])
    assert [event.to_status for event in history] == ["queued", "in-progress", "complete"]
    (run,) = rows(services, Run)
    assert (run.searched, run.reused, run.flow_run) == (MANY, 0, history[-1].flow_run)
    assert run.flow_run.startswith(PROCESS_RUN)
    assert run.finished_at
    assert sum(batch.sequences for batch in rows(services, BatchRun)) == MANY
    reports = services.reports.found(services.accounts.requester("ann"), job["job_id"])
    assert len(reports) == 2
    for report in reports:
        events = services.queries.jobs.history(report.id)
        assert [event.why for event in events] == ["submitted", MADE_BY_SEARCH, "", ""]
        assert {event.flow_run for event in events[1:]} == {run.flow_run}
    assert not (home / "prefect" / "prefect.db").exists()
    assert rows(services, Lease) == []


@pytest.fixture
def begun(home: Path, query: Path, services: Services) -> Iterator[subprocess.Popen[str]]:
    """A search of which one batch is done and the others wait; with a report."""
    slow = home.parent / "slow"
    slow.touch()
    with started(home, "search", query, *TARGET, "--format", "6", "--user", "ann") as process:
        wait_for(lambda: rows(services, BatchRun), 60)
        wait_for(lambda: rows(services, Lease), 60)
        yield process
        slow.unlink(missing_ok=True)


def the_job(services: Services) -> str:
    (listed,) = services.queries.list_jobs(services.accounts.requester("ann"))
    return listed.query_job_id


def statuses(services: Services) -> tuple[str, list[str]]:
    job_id = the_job(services)
    reports = services.reports.found(services.accounts.requester("ann"), job_id)
    return services.queries.jobs.query(job_id).status, [report.status for report in reports]


@pytest.mark.parametrize("thread", [0, -1])
def test_ctrl_c_cancels_the_search_and_keeps_what_was_found(
    begun: subprocess.Popen[str], services: Services, home: Path, thread: int
) -> None:
    """Whichever thread the system interrupts: Python looks for signals only in the first, once that goes on."""
    threads = sorted(int(entry.name) for entry in Path(f"/proc/{begun.pid}/task").iterdir())
    os.kill(threads[thread], signal.SIGINT)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 130, said
    assert "the same command goes on from there" in said
    assert statuses(services) == ("cancelled", ["cancelled"])
    assert services.queries.jobs.query(the_job(services)).reason == "its run was cancelled"
    assert rows(services, Result)
    assert rows(services, Lease) == []
    assert blast_processes(home) == []


def test_cancel_from_elsewhere_ends_the_search(begun: subprocess.Popen[str], services: Services, home: Path) -> None:
    code, printed, said = done(home, "cancel", the_job(services)[:8], "--user", "ann")
    assert (code, "is cancelled" in printed) == (0, True), said
    printed, said = begun.communicate(timeout=60)
    assert (begun.returncode, "is cancelled" in printed) == (1, True), said
    assert statuses(services) == ("cancelled", ["cancelled"])
    assert rows(services, Lease) == []


def test_search_that_is_killed_goes_on_by_the_same_command(
    begun: subprocess.Popen[str], services: Services, home: Path, query: Path
) -> None:
    """As long as it lives, nobody takes its job; once it is dead, it is known to be, and nothing is searched twice."""
    reconciliation = Reconciliation(services.database)
    assert reconciliation.run(lambda _ids: {}, utc_now() + LATER).waiting == []
    begun.kill()
    begun.communicate()
    found = {result.key for result in rows(services, Result)}
    assert 0 < len(found) < MANY
    assert [run.searched for run in rows(services, Run)] == [len(found)]
    (waiting,) = reconciliation.run(lambda _ids: {}).waiting
    assert waiting.job_id == the_job(services)
    assert statuses(services) == ("queued", ["queued"])
    (home.parent / "slow").unlink()
    before = len(rows(services, BatchRun))
    code, printed, said = done(home, "search", query, *TARGET, "--format", "6", "--user", "ann")
    assert (code, f"{MANY - len(found)} sequences searched, {len(found)} reused" in printed) == (0, True), said
    assert sum(batch.sequences for batch in rows(services, BatchRun)[before:]) == MANY - len(found)
    assert statuses(services) == ("complete", ["complete"])
    assert rows(services, Lease) == []


def test_search_that_is_killed_is_known_to_be_nobody_s_and_may_be_restarted(
    begun: subprocess.Popen[str], services: Services, home: Path
) -> None:
    ann, job_id = services.accounts.requester("ann"), the_job(services)
    commands = [("show", job_id[:8]), ("status", job_id[:8]), ("jobs", "list"), ("jobs", "list", "--json")]
    alive = [done(home, *words, "--user", "ann") for words in commands]
    with pytest.raises(ConflictError, match="in-progress already"):
        services.queries.restart(ann, job_id)
    begun.kill()
    begun.communicate()
    for (_, before, said), words in zip(alive, commands, strict=True):
        code, printed, now_said = done(home, *words, "--user", "ann")
        assert (code, printed) == (0, before)
        remedy = f"{job_id}: {ABANDONED}: multiblast jobs restart {job_id[:8]}"
        assert [remedy in " ".join(text.split()) for text in (said, now_said)] == [False, True]
    assert services.queries.lookup(ann, job_id).reason == services.queries.searched_job(job_id).reason == ABANDONED
    assert statuses(services) == ("in-progress", ["queued"])
    services.queries.restart(ann, job_id)
    assert services.queries.lookup(ann, job_id).reason is None
    assert services.queries.run(job_id).execute().status == "complete"


def test_restart_goes_on_with_a_killed_search_and_its_report_without_a_server(
    begun: subprocess.Popen[str], services: Services, home: Path
) -> None:
    begun.kill()
    begun.communicate()
    found = len(rows(services, Result))
    (home.parent / "slow").unlink()
    code, printed, said = done(home, "jobs", "restart", the_job(services)[:8], "--user", "ann")
    assert (code, said.split("\n")[-2:]) == (0, ["imported", ""]), said
    assert f"{MANY - found} sequences searched, {found} reused" in printed
    assert statuses(services) == ("complete", ["complete"])
    assert (len(rows(services, Result)), rows(services, Lease)) == (MANY, [])
    code, _, said = done(home, "jobs", "restart", the_job(services)[:8], "--user", "ann")
    assert (code, "its databases are as they were: there is no need" in " ".join(said.split())) == (2, True), said


def test_restart_makes_a_report_again_without_a_server(
    home: Path, services: Services, search_whole: Callable[..., SearchedJob]
) -> None:
    ann = services.accounts.requester("ann")
    job = search_whole(services, records(1)[0].decode(), user="ann").job_id
    report = services.reports.submit(ann, job, Formatting.read("6"))
    services.reports.cancel(ann, report)
    code, printed, said = done(home, "jobs", "restart", report[:8], "--user", "ann")
    assert (code, said.split("\n")[-2:]) == (0, ["imported", ""]), said
    assert "is complete" in printed
    assert services.queries.jobs.report(report).status == "complete"


def test_commands_with_sequences_in_common_say_how_many_each_searched(
    begun: subprocess.Popen[str], services: Services, home: Path, query: Path
) -> None:
    """What was searched meanwhile by the other is reused, in the line that is printed as in the record of the run."""
    other = query.with_name("other.fasta")
    other.write_bytes(b"".join(records(MANY + 10)[10:]))
    with started(home, "search", other, *TARGET) as second:
        wait_for(lambda: len(rows(services, Run)) == 2, 60)
        (home.parent / "slow").unlink()
        printed = [process.communicate(timeout=300)[0] for process in (begun, second)]
    runs = rows(services, Run)
    assert sum(run.searched for run in runs) == MANY + 10
    assert [run.searched + run.reused for run in runs] == [MANY, MANY]
    for run, text in zip(runs, printed, strict=True):
        assert f"{run.searched} sequences searched, {run.reused} reused" in text


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGINT, signal.SIGKILL])
def test_second_command_waits_for_the_first_and_goes_on_if_that_ends_before(
    end: signal.Signals, begun: subprocess.Popen[str], services: Services, home: Path, query: Path
) -> None:
    """Which is left alone, or cancelled, or killed."""
    bob = services.accounts.requester("bob")
    with started(home, "search", query, *TARGET, "--format", "6", "--user", "bob", "--out", "bobs") as second:
        wait_for(lambda: services.queries.list_jobs(bob), 60)
        begun.send_signal(end)
        if end != signal.SIGCONT:
            begun.wait(60)
        (home.parent / "slow").unlink()
        assert second.wait(120) == 0, second.communicate()
    assert begun.wait(60) == {signal.SIGCONT: 0, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}[end]
    assert services.queries.jobs.query(the_job(services)).status == "complete"
    history = [event.to_status for event in services.queries.jobs.history(the_job(services))]
    assert history.count("in-progress") == (1 if end == signal.SIGCONT else 2)
    assert (home.parent / "bobs" / "report.tsv").read_bytes()


def test_ctrl_c_of_a_second_command_leaves_the_first_alone(
    begun: subprocess.Popen[str], services: Services, home: Path, query: Path
) -> None:
    bob = services.accounts.requester("bob")
    with started(home, "search", query, *TARGET, "--format", "6", "--user", "bob") as second:
        wait_for(lambda: services.queries.list_jobs(bob), 60)
        second.send_signal(signal.SIGINT)
        assert second.wait(60) == 130
    assert statuses(services)[0] == "in-progress"
    (home.parent / "slow").unlink()
    assert begun.wait(120) == 0
    assert statuses(services) == ("complete", ["complete"])


@pytest.fixture
def recorded(make_services: Callable[..., Services], query: Path, tmp_path: Path) -> Callable[..., SearchRun]:
    """``recorded(script, cores)``: the run of a recorded search, each BLAST+ of which does as a shell's words say."""

    def make(script: str, cores: int = 2) -> SearchRun:
        (tmp_path / "programs").mkdir()
        program = tmp_path / "programs" / "blastp"
        program.write_text(f'#!/bin/sh\nif [ "$1" = -query ]; then {script}; fi\nexec {shutil.which("blastp")} "$@"\n')
        program.chmod(0o755)
        queries = make_services(directory=program.parent, cores=cores).queries
        submission = read_submission(query_file=query, targets=["demo/examples/proteins"])
        return queries.run(queries.submit(ADMINISTRATOR, submission).job_id)

    return make


def test_batch_that_is_killed_from_outside_is_searched_again(
    recorded: Callable[..., SearchRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiblast.outages.PAUSES_S", (0.1,))
    run = recorded(f"mkdir {tmp_path}/killed 2>/dev/null && kill -TERM $$")
    assert run.execute_on_all_cores().status == "complete"
    with run.engine.database.read() as session:
        killed = [batch.failure_class for batch in session.exec(select(BatchRun)) if batch.failure_class]
    assert killed == [FailureClass.KILLED]


def test_after_a_batch_that_fails_no_other_is_begun(recorded: Callable[..., SearchRun], tmp_path: Path) -> None:
    run = recorded(f"echo x >> {tmp_path}/calls; exit 2", cores=1)
    assert len(run.plan().to_run) > 1
    with pytest.raises(ProgramError):
        run.execute_on_all_cores()
    assert (tmp_path / "calls").read_text() == "x\n"
    assert run.engine.jobs.query(run.job_id).status == "failed"
