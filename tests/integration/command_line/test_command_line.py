"""The command line, but for Prefect: what is refused before anything runs, and what is printed whatever happens."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployments.command_line import COMMANDS, load, session
from deployments.server import PrefectServer
from multiblast.environment import HTTP_URL
from multiblast.errors import FailureClass, ProgramError
from multiblast.jobs import Jobs
from multiblast.services import Services
from tests.support.commands import TARGET, A, Printed
from tests.support.search_plugins import NEEDS_TOOLS

NUCLEOTIDES = ("--target", "demo/examples/nucleotides", "--program", "blastn")

_BAD = [
    (b"", TARGET, "the query is empty"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", TARGET, "a PNG image, not FASTA text"),
    (b">a\nMKVLAAGIFWEEQ\n", NUCLEOTIDES, "'a'"),
    (b">a\nACGT\n>b\n", NUCLEOTIDES, "'b' has no residues"),
    (b">a\nMKV\n", ("--target", "demo/examples/nosuch"), "no database of demo/examples 'nosuch'"),
    (b">a\nMKV\n", ("--target", "demo/../proteins"), "target of demo '..'"),
    (b">a\nMKV\n", ("--target", "demo/examples"), "'demo/examples' names no site: write SITE/TARGET/DATABASE"),
    (b">a\nMKV\n", ("--target", "/etc/passwd"), "'etc/passwd' names no site"),
    (b">a\nMKV\n", ("--target", "demo/examples/nucleotides"), "nucleotide database"),
    (b">a\nMKV\n", (*TARGET, "--option", "evalue=abc"), "evalue: 'abc'"),
    (b">a\nMKV\n", (*TARGET, "--option", "eValue=abc"), "eValue: 'abc'"),
    (b">a\nMKV\n", (*TARGET, "--option", "db_soft_mask=1", "--option", "db_hard_mask=2"), "db_hard_mask"),
    (b">a\nMKV\n", (*TARGET, "--option", "out=/tmp/x"), "out: cannot be chosen here"),
    (b">a\nMKV\n", (*TARGET, "--program", "blastq"), "blastq"),
]


@pytest.mark.parametrize(("query", "arguments", "message"), _BAD)
def test_bad_input_is_refused_with_a_plain_message(
    run: Callable[..., Printed], query: bytes, arguments: tuple[str, ...], message: str
) -> None:
    Path("query.fasta").write_bytes(query)
    done = run("search", "query.fasta", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_the_job_of_a_search_that_failed_is_shown(
    run: Callable[..., Printed], jobs: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_arguments: object, **_more: object) -> None:
        raise ProgramError(["blastp"], 3, "no", FailureClass.UNKNOWN)

    monkeypatch.setattr(Jobs, "start", start)
    done = run("search", "query.fasta", *TARGET, "--format", "6")
    assert done.code == 1
    assert f"job {jobs()[0]} is failed\n" in done.out
    assert "blastp failed" in done.err


def test_a_small_search_needs_neither_prefect_nor_a_server(
    run: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.submit_query

    whole, called = flows.submit_query.submit_query, []
    monkeypatch.setattr(flows.submit_query, "submit_query", lambda **given: called.append(given) or whole(**given))
    done = run("search", "query.fasta", *TARGET)
    assert "2 sequences searched" in done.out
    assert ("Starting Prefect" in done.err, called) == (False, [])
    monkeypatch.setenv("MULTIBLAST_TASK_RUNNER", "somebody.Cluster")  # which is to do the work
    assert "Starting Prefect" in run("search", "query.fasta", *TARGET, "--option", "evalue=1e-7").err
    assert len(called) == 1


def test_json_is_all_of_standard_output_when_the_server_starts_slowly(
    run: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTIBLAST_TASK_RUNNER", "somebody.Cluster")  # so that a flow runs
    done = run("search", "query.fasta", *TARGET, "--json")
    assert "Starting Prefect" in done.err
    job = json.loads(done.out)["job"]["job_id"]
    assert "results/report.tsv" in json.loads(run("report", job, "--format", "6", "--json").out)["files"]
    assert json.loads(run("show", job, "--json").out)["job_id"] == job


def test_every_json_option_keeps_other_words_off_standard_output() -> None:
    def options(command: Any) -> list[Any]:
        below = [one for name in getattr(command, "commands", {}) for one in options(command.commands[name])]
        return [*below, *(one for one in command.params if "--json" in one.opts)]

    found = [one for name in COMMANDS for one in options(load(name))]
    assert len(found) > 20
    assert all("only_json" in str(one.callback.__wrapped__ if one.callback else "") for one in found)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_query_from_a_pipe_is_read(run: Callable[..., Printed], pack: Callable[[bytes], bytes]) -> None:
    reading, writing = os.pipe()
    text = pack(Path("query.fasta").read_bytes())
    writer = threading.Thread(target=lambda: (os.write(writing, text), os.close(writing)))
    writer.start()
    done = run("search", f"/dev/fd/{reading}", *TARGET, "--json")
    writer.join()
    os.close(reading)
    assert (
        json.loads(done.out)["job"]["job_id"]
        == json.loads(run("search", "query.fasta", *TARGET, "--json").out)["job"]["job_id"]
    )


def test_query_from_standard_input_is_read(run: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("query.fasta").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        done = run("search", "-", *TARGET)
    assert done.code == 0, done.err
    assert "2 sequences searched" in done.out
    assert "no file 'nothing'" in run("search", "nothing", *TARGET).err


def test_jobs_are_known_by_the_beginning_of_their_ids(
    run: Callable[..., Printed], jobs: Callable[[], list[str]]
) -> None:
    assert run("search", "query.fasta", *TARGET, "--user", "ann").code == 0
    (job,) = jobs()
    short = job[:9]
    assert job in run("show", short).out
    assert json.loads(run("status", short).out) == {job: "complete"}
    assert run("report", short.upper(), "--format", "6").code == 0
    (report,) = json.loads(run("reports", "list", "--job", short, "--json", "--user", "").out)
    assert json.loads(run("show", report["reportJobID"][:9]).out)["queryJobID"] == job
    assert "report.tsv" in run("files", report["reportJobID"][:9]).out
    none = run("show", "0" * 9 if not job.startswith("0" * 9) else "1" * 9)
    assert none.code == 2
    assert "no job" in none.err
    assert "no job 'x'" in run("show", "x").err
    assert run("show", short, "--user", "eve").code == 2


def test_commands_name_addresses_where_there_is_a_service(
    run: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HTTP_URL, "https://blast.example.org")
    job = json.loads(run("search", "query.fasta", *TARGET, "--json").out)["job"]["job_id"]
    assert f"https://blast.example.org/query/jobs/{job}/result" in run("search", "query.fasta", *TARGET).out
    made = json.loads(run("report", job, "--format", "6", "--json").out)
    address, *_zip = made["addresses"]
    found = re.fullmatch("https://blast.example.org/report/jobs/([0-9a-f]{32})/files/report.tsv", address)
    assert found
    assert f"wrote {made['files'][0]}, also at {address}" in run("report", job, "--format", "6").out
    (listed, _zip) = json.loads(run("files", found[1][:8], "--json").out)
    assert listed["address"] == address


def test_a_beginning_that_several_jobs_have_names_some_of_them(run: Callable[..., Printed]) -> None:
    many = "".join(f">s{number}\n{A}{'ACDEFGHIKLMNPQRSTVWY'[number]}\n" for number in range(17))
    Path("query.fasta").write_text(many)
    assert run("search", "query.fasta", *TARGET).code == 0
    first = [row["job_id"][0] for row in json.loads(run("search", "query.fasta", *TARGET, "--json").out)["job"]["rows"]]
    shared = next(letter for letter in first if first.count(letter) > 1)
    done = run("status", shared)
    assert done.code == 2
    assert f"'{shared}' begins the ids of several jobs" in done.err


def test_commands_are_known_by_the_names_that_people_guess(run: Callable[..., Printed]) -> None:
    job = json.loads(run("search", "query.fasta", *TARGET, "--json").out)["job"]["job_id"]
    assert job in run("list").out
    assert run("list").out == run("jobs", "list").out == run("jobs", "ls").out
    assert run("lookup", job).out == run("jobs", "lookup", job).out == run("jobs", "show", job).out
    assert "searched" in run("history", job).out or "complete" in run("history", job).out
    assert run("nothing").code == 2


def test_status_of_an_unknown_job_is_an_error(run: Callable[..., Printed]) -> None:
    job = json.loads(run("search", "query.fasta", *TARGET, "--json").out)["job"]["job_id"]
    for unknown in ("0" * 32, "nonsense"):
        done = run("status", job, unknown)
        assert done.code == 1
        assert json.loads(done.out) == {job: "complete"}
        assert f"no job {unknown!r}" in done.err


@pytest.mark.parametrize("words", [("serve", "--port", "65536"), ("service", "up", "--port", "65530")])
def test_a_port_that_there_is_not_is_refused(run: Callable[..., Printed], words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.code == 2
    assert "Invalid value for '--port'" in done.err


def test_search_with_a_started_stack_needs_no_flow(
    run: Callable[..., Printed], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known or small is done at once; without a worker, so is the rest."""
    import flows.submit_query

    whole, called = flows.submit_query.submit_query, []
    stack = PrefectServer("http://127.0.0.1:9/api")
    monkeypatch.setattr(PrefectServer, "wait", lambda _self, _announce: None)
    monkeypatch.setattr(session, "start_prefect", lambda: stack)
    monkeypatch.setattr(session, "started_server", lambda: stack.api_url)
    monkeypatch.setattr(flows.submit_query, "submit_query", lambda **given: called.append(given) or whole(**given))
    search = ("search", "query.fasta", *TARGET)
    assert "2 sequences searched" in run(*search).out
    assert "0 sequences searched, 2 reused" in run(*search).out
    assert not called
    http = services.policy.http.model_copy(update={"small_search_s": 0})
    large = replace(services, policy=services.policy.model_copy(update={"http": http}))
    monkeypatch.setattr(session, "_services", lambda _root, of_blocks: large)  # noqa: ARG005 - as it is called
    assert "2 sequences searched" in run(*search, "--option", "evalue=1e-7").out
    assert not called


@NEEDS_TOOLS
def test_search_by_a_search_plugin(
    run: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "made"))
    wanted = ("search", "query.fasta", *TARGET, "--program", "diamond-blastp", "--option", "sensitivity=fast")
    done = run(*wanted, "--format", "6", "--out", "out")
    assert done.code == 0, done.err
    assert Path("out/report.tsv").exists()
    refused = run(*wanted, "--format", "0")
    assert refused.code != 0
    assert "cannot be written as 0 pairwise text: choose 6 tabular" in refused.err
    unknown = run("search", "query.fasta", *TARGET, "--program", "diamond-nothing")
    assert unknown.code != 0
    assert "no program 'diamond-nothing'; choose one of blastn" in unknown.err
    assert "mmseqs-search" in unknown.err


def test_way_that_was_switched_off_is_allowed_again(run: Callable[..., Printed], services: Services) -> None:
    """What searches of new parts were found wrong is listed with its reason, until somebody allows it."""
    services.refused_ways.refuse("blastp", result_key="a" * 32, job_id="b" * 32, reason="it was another one")
    rows = {row["way"]: row for row in json.loads(run("ways", "--json").out)}
    assert (rows["blastp"]["state"], rows["blastp"]["reason"]) == ("switched off", "it was another one")
    assert rows["blastn"]["state"] == "on"
    assert rows["blastp"]["results"] == 0
    assert "Forgot 0 results" in run("ways", "--forget", "blastp").err
    assert {row["state"] for row in json.loads(run("ways", "--allow", "blastp", "--json").out)} == {"on"}
    unknown = run("ways", "--allow", "blastp")
    assert unknown.code == 2
    assert "no way that is switched off 'blastp'" in unknown.err


def test_summary_that_nobody_has_is_not_lost_silently(run: Callable[..., Printed]) -> None:
    """It belongs to a person's list of jobs."""
    search = ("search", "query.fasta", *TARGET, "--summary", "my reads")
    unnamed, named = run(*search), run(*search, "--user", "ann")
    assert "name yourself with --user" in unnamed.err
    assert "name yourself" not in named.err
    assert "my reads" in run("jobs", "list", "--user", "ann").out
