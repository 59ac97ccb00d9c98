"""Reports that commands write: refused before anything runs, made alone, and never over other files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.command_line import reports, session
from deployments.server import PrefectServer
from multiblast.actions import Reports
from multiblast.errors import FailureClass, ProgramError
from multiblast.reports import ReportRun
from multiblast.services import Services
from tests.support.commands import TARGET, Printed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--format", "99"), "no format '99'"),
        (("--format", "6", "--fields", "qseqid,sseqid"), "knows no field 'qseqid,sseqid'"),
        (("--format", "6", "--format", "17"), "only results of blastn can be written as SAM"),
        (("--format", "6", "--fields", "qcovus"), "only blastn knows the field qcovus"),
        (("--format", "pssm"), "kept no profiles"),
        (("--format", "5", "--fields", "std"), "no format is asked for that has columns"),
        (("--fields", "std"), "no format is asked for that has columns"),
        (("--format", "6", "--out", "query.fasta"), "query.fasta' is no directory"),
        (("--format", "6", "--out", "query.fasta/below"), "query.fasta' is no directory"),
        (("--format", "6", "--out", "/proc/nothing"), "/proc"),
    ],
)
def test_what_is_wrong_with_a_report_is_told_before_the_search(
    run: Callable[..., Printed], jobs: Callable[[], list[str]], wrong: tuple[str, ...], message: str
) -> None:
    done = run("search", "query.fasta", *TARGET, *wrong)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert jobs() == []


def test_all_that_is_wrong_with_reports_and_query_is_told_at_once(run: Callable[..., Printed]) -> None:
    formats = ("--format", "17", "--format", "98", "--format", "99")
    done = run("search", "query.fasta", *TARGET, *formats, "--out", "query.fasta")
    assert all(word in done.err for word in ("'98'", "'99'", "no directory"))
    done = run("search", "query.fasta", "--target", "demo/examples/nothing", "--format", "17")
    assert "as SAM" in done.err
    assert "no database" in done.err


def test_a_report_that_fails_stops_no_other_and_the_job_is_shown(
    run: Callable[..., Printed], jobs: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ReportRun.execute

    def execute(one: ReportRun, **more: Any) -> Any:
        if one.engine.jobs.report(one.job_id).formatting["formatType"] == "5":
            raise ProgramError(["blast_formatter"], 3, "no", FailureClass.UNKNOWN)
        return real(one, **more)

    monkeypatch.setattr(ReportRun, "execute", execute)
    done = run("search", "query.fasta", *TARGET, "--format", "5", "--format", "6")
    assert done.code == 1
    assert f"job {jobs()[0]} is complete" in done.out
    assert "error: format 5: blast_formatter failed" in done.err
    assert Path("results/format-6/report.tsv").exists()
    done = run("search", "query.fasta", *TARGET, "--format", "5", "--format", "6", "--json")
    answer = json.loads(done.out)
    assert answer["job"]["job_id"] == jobs()[0]
    assert {Path(file).parent.name for file in answer["files"]} == {"format-6"}
    assert len(answer["errors"]) == 1


def test_a_directory_that_is_lost_meanwhile_is_a_message(
    run: Callable[..., Printed], jobs: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "check_directories", lambda _places: None)
    assert run("search", "query.fasta", *TARGET).code == 0
    done = run("report", jobs()[0], "--format", "6", "--out", "query.fasta")
    assert done.code == 1
    assert done.err.endswith("error: 'query.fasta': File exists")


def test_no_report_is_written_over_another_one(run: Callable[..., Printed], jobs: Callable[[], list[str]]) -> None:
    assert run("search", "query.fasta", *TARGET, "--format", "5").code == 0
    report = ("report", jobs()[0], "--format")
    first = run(*report, "6")
    assert sorted(file.name for file in Path("results").iterdir()) == ["report.tsv", "report.xml"]
    table = Path("results/report.tsv").read_bytes()
    other = run(*report, "7")
    assert (other.code, Path("results/report.tsv").read_bytes()) == (2, table)
    assert "'results/report.tsv' is there already, and differs: name another place" in other.err
    assert (run(*report, "6").out, run(*report, "7", "--out", "other").code) == (first.out, 0)
    assert run(*report, "7", "--overwrite").code == 0
    assert Path("results/report.tsv").read_bytes() == Path("other/report.tsv").read_bytes() != table


def test_a_file_that_cannot_be_written_is_a_message(run: Callable[..., Printed]) -> None:
    Path("out/report.tsv").mkdir(parents=True)
    done = run("search", "query.fasta", *TARGET, "--format", "6", "--out", "out")
    assert done.code == 1
    assert done.err.endswith("error: format 6: 'out/report.tsv' is a directory: name another place")


def test_a_large_report_is_made_by_its_flow_where_there_is_a_server_unless_it_is_there(
    run: Callable[..., Printed], jobs: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.make_report

    whole, called = flows.make_report.make_report, []
    monkeypatch.setattr(flows.make_report, "make_report", lambda **given: called.append(given) or whole(**given))
    assert run("search", "query.fasta", *TARGET, "--format", "5").code == 0
    report = ("report", jobs()[0], "--format", "6", "--fields", "std stitle")
    monkeypatch.setattr(Reports, "is_small", lambda _self, _job_id: False)
    alone = run("report", jobs()[0], "--format", "0")
    assert ("wrote results/report." in alone.out, alone.err, called) == (True, "", [])
    monkeypatch.setattr(PrefectServer, "wait", lambda _self, announce: announce("Connecting …"))
    monkeypatch.setattr(session, "find_prefect", lambda: PrefectServer("http://127.0.0.1:9/api"))
    first = run(*report)
    assert "wrote results/report.tsv" in first.out
    assert "Connecting" in first.err
    assert [given["options"] for given in called] == [{"formatFields": "std stitle"}]
    again = run(*report)
    assert (again.out, len(called)) == (first.out, 1)


def test_a_small_report_needs_neither_prefect_nor_a_server(
    services: Services, jobs: Callable[[], list[str]], run: Callable[..., Printed], tmp_path: Path
) -> None:
    assert run("search", "query.fasta", *TARGET).code == 0
    home = tmp_path / "home"
    (home / "targets").symlink_to(services.targets.root)
    run_it = "import sys; from deployments.command_line import main; print(main()"
    code = f"{run_it}, *sys.modules.keys() & {{'prefect', 'alembic'}})"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", code, "report", jobs()[0], "--format", "5"],
        env={**environment, "MULTIBLAST_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert Path("results/report.xml").read_text().startswith("<?xml")
    assert not (home / "prefect").exists()
