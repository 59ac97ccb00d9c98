"""What happens to a job of a search plugin when its program fails, is stopped or is killed, or is not there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from sqlmodel import select

from multiblast.accounts import Requester
from multiblast.database import Lease, Result
from multiblast.errors import ConflictError, FailureClass, InvalidInputError, MultiblastError, ProgramError
from multiblast.jobs import TargetName
from multiblast.options import parse_options, program_names
from multiblast.plugins.confinement import what_prevents_it
from multiblast.search import SearchedJob, board, read_submission, search_plugin
from multiblast.search.batch_search import Started
from multiblast.search.elsewhere import Elsewhere, GivenBackError
from multiblast.search.orders import Order, perform
from multiblast.search.plugin_context import PluginContext
from multiblast.search.plugins import find_plugins_by
from multiblast.search.resolver import Resolver
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import PluginRules
from tests.support.processes import is_running, wait_for
from tests.support.search_plugins import NEEDS_TOOLS
from tests.support.sequences import distinct_proteins, fasta

pytestmark = NEEDS_TOOLS

ANYBODY = Requester(administrator=True)
Submit = Callable[..., SearchedJob]
Runs = Callable[[Services], list[int]]
ODD = Path(__file__).parents[1] / "data" / "plugins" / "odd-search"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    find_plugins_by(PluginRules())
    yield
    find_plugins_by(PluginRules())


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """``faulty(program, when, then)``: put before the real program one that does ``then`` if a query has ``when``."""

    def put(program: str, when: str, then: str) -> None:
        directory, real = tmp_path / "bin", shutil.which(program)
        directory.mkdir(exist_ok=True)
        script = directory / program
        script.write_text(
            "#!/bin/sh\nfor word; do case $word in *query.fasta)\n"
            f'if grep -q "{when}" "$word"; then {then}; fi;; esac; done\nexec {real} "$@"\n'
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize(("program", "executable"), [("diamond-blastp", "diamond"), ("mmseqs-search", "mmseqs")])
@pytest.mark.parametrize(
    ("then", "failure"),
    [
        ("echo trouble >&2; exit 1", FailureClass.BAD_QUERY_OR_OPTIONS),
        ("echo trouble | tee /dev/stderr; exit 2", FailureClass.UNKNOWN),
        ("exit 0", FailureClass.ENGINE),
        ("kill -SEGV $$", FailureClass.CRASHED),
    ],
)
def test_sequence_that_breaks_the_program_is_found_and_the_others_are_kept(  # noqa: PLR0913, PLR0917 - its fixtures
    submit: Submit,
    proteins: list[Sequence],
    faulty: Callable[..., None],
    program: str,
    executable: str,
    then: str,
    failure: str,
) -> None:
    """Batches are halved until the poison is alone; exit code 0 without an answer is a failure too."""
    faulty(executable, proteins[3].residues[:30].decode(), then)
    job = submit(fasta(proteins[2:6]), program=program, target="proteins")
    assert job.status == "failed"
    assert [row.status for row in job.rows] == ["complete", "failed", "complete", "complete"]
    assert job.rows[1].note.startswith(failure)
    if "trouble" in then:
        assert "trouble" in job.rows[1].note


def test_missing_tool_says_what_to_install(
    submit: Submit, proteins: list[Sequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("blastdbcmd", "blastp", "makeblastdb"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match="apt-get install diamond-aligner") as caught:
        submit(fasta(proteins[:1]), program="diamond-blastp", target="proteins")
    assert caught.value.failure_class is FailureClass.MISSING_PROGRAM
    assert submit(fasta(proteins[:1]), program="blastp").status == "complete"


def test_broken_plugin_is_in_nobodys_way(
    submit: Submit, proteins: list[Sequence], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("one", "no toml ["), ("two", 'name = "two"'), ("three", "\xff")):
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "plugin.toml").write_bytes(text.encode("latin-1"))
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(tmp_path / "folder"))
    find_plugins_by(PluginRules())
    assert "diamond-blastp" in program_names()
    assert submit(fasta(proteins[:1]), program="blastp").status == "complete"
    assert submit(fasta(proteins[:1]), program="diamond-blastp", target="proteins").status == "complete"
    with pytest.raises(InvalidInputError, match=r"no program 'two'; choose one of blastn, .*mmseqs-search"):
        read_submission(query=">a\nMK", program="two", targets=["demo/examples/proteins"])


def test_plugin_of_somebody_else_searches_too(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows come from a script; with an option that is not said to change nothing, each sequence is alone."""
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(ODD.parent))
    find_plugins_by(PluginRules())
    plugin = search_plugin("odd-search")
    assert plugin is not None
    job = submit(fasta(proteins[:4]), program="odd-search", target="proteins")
    assert job.status == "complete"
    assert [row.hits for row in job.rows] == [1, 1, 1, 1]
    assert searches_run(services) == [4]
    submit(fasta(proteins[:3]), program="odd-search", target="proteins", together=False)
    assert searches_run(services) == [4, 1, 1, 1]
    short = submit(">short\nMKV\n>other\nMKVLAAGIVGLCAKAYE\n", program="odd-search", target="proteins")
    assert [(row.hits, row.note) for row in short.rows] == [(0, "no hits"), (1, "")]
    silent = submit(
        f">silent\nWWWWWW\n>other\n{proteins[0].residues.decode()}\n", program="odd-search", target="proteins"
    )
    assert [row.status for row in silent.rows] == ["failed", "complete"]
    assert "no result for 1 of 1 sequences" in silent.rows[0].note


@pytest.mark.skipif(bool(what_prevents_it()), reason="there is no sandbox here")
def test_program_sees_no_secrets_and_writes_nowhere_else(
    submit: Submit, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ODD, tmp_path / "plugins" / "nosy")
    table, script = (tmp_path / "plugins" / "nosy" / name for name in ("plugin.toml", "search.py"))
    table.write_text(table.read_text().replace("odd-search", "nosy-search"))
    nosy = f"""import os, sys
for name in os.environ: sys.stderr.write(name + "\\n")
open({str(tmp_path / "outside")!r}, "w")  # in its own /tmp
sys.stderr.write(str(os.path.exists({str(tmp_path / "home" / "jobs.sqlite")!r})))
"""
    script.write_text(nosy + script.read_text())
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(tmp_path / "plugins"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    find_plugins_by(PluginRules())
    job = submit(">a\nMKVLAAGIVGL\n", program="nosy-search", target="proteins")
    assert job.status == "complete"
    stderr = services.queries.errors(ANYBODY, job.job_id).stderr
    assert "PATH" in stderr
    assert "AWS" not in stderr
    assert stderr.endswith("False")  # our data is not there
    assert not (tmp_path / "outside").exists()


def test_case_counts_where_it_has_a_meaning(
    submit: Submit, services: Services, searches_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(ODD.parent))
    find_plugins_by(PluginRules())
    for case in (True, False):
        submit(
            ">a\nMKVLAAGIVGL\n>b\nMKVLaagIVGL\n>c\nmkvlaagivgl\n", program="odd-search", target="proteins", case=case
        )
    assert searches_run(services) == [3, 1]


def test_database_is_made_once_and_swept_when_it_was_not_used(
    submit: Submit, services: Services, proteins: list[Sequence], tmp_path: Path
) -> None:
    submit(fasta(proteins[:1]), program="diamond-blastp", target="proteins")
    place = tmp_path / "home" / "plugins" / "databases"
    (made,) = (path for path in place.iterdir() if path.is_dir())
    first = (made / "database.dmnd").stat().st_mtime_ns
    submit(fasta(proteins[1:2]), program="diamond-blastp", target="proteins", sensitivity="fast")
    assert (made / "database.dmnd").stat().st_mtime_ns == first
    services.clean_up()
    assert made.exists()
    os.utime(made / "made.json", (0, 0))
    (place / f".{'0' * 32}.making").mkdir()
    os.utime(place / f".{'0' * 32}.making", (0, 0))
    services.clean_up()
    assert [path.name for path in place.iterdir() if path.is_dir()] == []
    assert submit(fasta(proteins[1:3]), program="diamond-blastp", target="proteins").status == "complete"


def test_rest_of_a_database_is_in_nobodys_way(submit: Submit, proteins: list[Sequence], tmp_path: Path) -> None:
    """As a sweep that is killed leaves it."""
    submit(fasta(proteins[:1]), program="diamond-blastp", target="proteins")
    (made,) = (path for path in (tmp_path / "home" / "plugins" / "databases").iterdir() if path.is_dir())
    (made / "made.json").unlink()
    assert submit(fasta(proteins[1:3]), program="diamond-blastp", target="proteins").status == "complete"
    assert (made / "made.json").exists()


def test_other_script_of_a_plugin_searches_anew(
    submit: Submit, services: Services, searches_run: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its table is the same."""
    shutil.copytree(ODD, tmp_path / "plugins" / "odd")
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(tmp_path / "plugins"))
    script = tmp_path / "plugins" / "odd" / "search.py"
    for more, runs in (("", [1]), ("", [1]), ("# another\n", [1, 1])):
        script.write_text(script.read_text() + more)
        find_plugins_by(PluginRules())
        submit(">a\nMKVLAAGIVGL\n", program="odd-search", target="proteins")
        assert searches_run(services) == runs


def test_database_is_made_by_one_of_two_that_come_at_once(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    context = Resolver(services.installation, services.targets).resolve(
        "demo", (TargetName("examples", "proteins"),), parse_options("mmseqs-search")
    )
    assert isinstance(context, PluginContext)
    database = context.database
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: database.make(services.installation, lambda: False), range(4)))
    assert database.is_made
    assert [one.message for one in caplog.records if one.message.startswith("making")] == [
        "making the mmseqs-search database of demo/examples/proteins, 2,139 sequences"
    ]


def test_database_that_cannot_be_made_fails_the_job_at_once(  # noqa: PLR0913, PLR0917 - its fixtures
    submit: Submit,
    services: Services,
    proteins: list[Sequence],
    searches_run: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "diamond"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = makedb ] && {{ echo no disk >&2; exit 1; }}\nexec {shutil.which("diamond")} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ProgramError, match="no disk") as caught:
        submit(fasta(proteins[:4]), program="diamond-blastp", target="proteins")
    assert caught.value.failure_class is FailureClass.DATABASE
    assert searches_run(services) == [4]
    assert not list((tmp_path / "home" / "plugins" / "databases").glob("*.making"))


def test_cancel_kills_the_program_and_what_it_started(
    services: Services, proteins: list[Sequence], faulty: Callable[..., None], tmp_path: Path
) -> None:
    find_plugins_by(PluginRules(sandbox="none"))  # in one, a process has another number
    pid_file = tmp_path / "pid"
    faulty("mmseqs", ">", f"sleep 60 & echo $! > {pid_file}; wait")
    submission = read_submission(query=fasta(proteins[:2]), program="mmseqs-search", targets=["demo/examples/proteins"])
    job_id = services.queries.submit(ANYBODY, submission).job_id
    raised: list[MultiblastError] = []

    def run() -> None:
        try:
            services.queries.run(job_id).execute()
        except MultiblastError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not pid_file.exists() or not pid_file.read_text():
        time.sleep(0.05)
    services.queries.cancel(ANYBODY, job_id)
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert isinstance(raised[0], ProgramError)
    assert raised[0].failure_class is FailureClass.CANCELLED
    assert not is_running(int(pid_file.read_text()))
    assert services.queries.searched_job(job_id).status == "cancelled"


_SUBMIT = """
import sys
from pathlib import Path
from multiblast.accounts import Requester
from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
home, targets, query = map(Path, sys.argv[1:])
services = Services(Database(f"sqlite:///{home / 'jobs.sqlite'}"), LocalStore(home / "store"), Installation(cores=1),
                    Targets(targets), QueryLimits())
# Results are stored every five seconds.
submission = read_submission(query_file=query, program="odd-search", targets=["demo/examples/proteins"],
                             options={"pause_s": 0.4})
job = services.queries.submit(Requester(administrator=True), submission).job_id
services.queries.run(job).execute()
"""


def test_killed_submission_loses_nothing_that_was_stored(
    services: Services,
    submit: Submit,
    targets_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kill -9 in the middle, then submit again: what was stored is known, the rest is searched, no lease is left."""
    monkeypatch.setenv("MULTIBLAST_PLUGINS", str(ODD.parent))
    find_plugins_by(PluginRules())
    sequences = distinct_proteins()[100:140]

    def stored() -> bool:
        with services.database.read() as session:
            return session.exec(select(Result.key)).first() is not None

    query = tmp_path / "query.fasta"
    query.write_text(fasta(sequences).replace(">", ">x slow", 1))
    process = subprocess.Popen([sys.executable, "-c", _SUBMIT, tmp_path / "home", targets_root, query])
    try:
        wait_for(stored, 60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    job = submit(query.read_text(), program="odd-search", target="proteins")
    assert job.status == "complete"
    assert 0 < job.reused < len(sequences)
    assert job.searched + job.reused == len(sequences)
    with services.database.read() as session:
        assert session.exec(select(Lease)).all() == []


def test_machines_elsewhere_are_not_asked(services: Services) -> None:
    resolver = Resolver(services.installation, services.targets)
    order = Order("", "", "diamond-blastp", {}, "demo", (("examples", "proteins"),), {})
    with pytest.raises(ConflictError, match="searches where its job is, not for others"):
        perform(order, resolver, cast("Any", None), "there")
    context = resolver.resolve("demo", (TargetName("examples", "proteins"),), parse_options("diamond-blastp"))
    started = Started(context, [], Path(), Path(), False, 0, lambda: False)
    with pytest.raises(GivenBackError, match="searches at home only, not at giessen"):
        Elsewhere(services.gateway, services.queries.jobs, "giessen", cast("Any", None)).start(started)


def test_making_of_a_database_is_progress(services: Services) -> None:
    board.begin("job", to_search=1, reused=0, letters=9)
    targets = (TargetName("examples", "proteins"),)
    context = Resolver(services.installation, services.targets).resolve(
        "demo", targets, parse_options("diamond-blastp"), "job"
    )
    seen: list[str] = []
    with TemporaryDirectory() as name, ThreadPoolExecutor(1) as pool:
        made = pool.submit(context.prepare, services.installation, Path(name), lambda: False)
        while not made.done():
            seen.append(board.get("job").doing)
            time.sleep(0.001)
        made.result()
    assert "making the diamond-blastp database, once for all searches" in seen
    assert board.get("job").doing == ""
    board.end("job")
