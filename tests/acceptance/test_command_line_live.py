"""The command line: the same flows at a terminal."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from multiblast.jobs import MADE_BY_SEARCH
from multiblast.sequences import read_fasta

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]
Answer = Callable[..., dict[str, Any]]

TARGET = ("--target", "demo/examples/proteins")
NUCLEOTIDES = ("--target", "demo/examples/nucleotides", "--program", "blastn")


def test_search_prints_a_row_a_sequence_and_writes_the_report(multiblast: Run, examples: Path, tmp_path: Path) -> None:
    done = multiblast(
        "search", examples / "protein_query.fasta", *TARGET, "--option", "evalue=1e-5", "--format", 5, "--out", "out"
    )
    assert done.returncode == 0, done.stderr
    assert "sp|Q9DC28|KC1D_MOUSE" in done.stdout
    assert "is complete" in done.stdout
    assert (tmp_path / "out" / "report.xml").read_text().startswith("<?xml")


def test_reports_of_a_search_by_the_worker_are_made_by_its_run(
    multiblast: Run, answer: Answer, examples: Path, tmp_path: Path
) -> None:
    with gzip.open(examples / "proteins.fasta.gz") as stream:
        query = b"".join(sequence.canonical for sequence in islice(read_fasta(stream.read()), 200))
    (tmp_path / "many.fasta").write_bytes(query)
    formats = ("--format", "6", "--format", "15", "--out", "out", "--user", "ann")
    job = answer("search", "many.fasta", *TARGET, "--option", "evalue=0.002", *formats)["job"]["job_id"]
    listed = json.loads(multiblast("reports", "list", "--job", job, "--user", "ann", "--json").stdout)
    for report in listed:
        history = json.loads(multiblast("reports", "history", report["reportJobID"], "--json").stdout)
        assert [(event["toStatus"], event["why"]) for event in history] == [
            ("queued", "submitted"),
            ("queued", MADE_BY_SEARCH),
            ("in-progress", ""),
            ("complete", ""),
        ]
        assert len({event["flowRun"] for event in history[1:]}) == 1
    assert len(listed) == 2
    assert (tmp_path / "out" / "format-15" / "report.json").exists()


def test_search_again_reuses_everything_and_says_so(multiblast: Run, answer: Answer, examples: Path) -> None:
    command = ("search", examples / "protein_query.fasta", *TARGET, "--option", "evalue=1e-4")
    first = answer(*command)
    assert first["job"]["searched"] == 11
    done = multiblast(*command)
    assert " 0 sequences searched, " in done.stdout
    again = answer(*command)
    assert again["job"]["job_id"] == first["job"]["job_id"]
    assert {row["origin"] for row in again["job"]["rows"]} == {"reused"}


def test_report_of_a_job_in_another_format(multiblast: Run, answer: Answer, examples: Path, tmp_path: Path) -> None:
    job = answer("search", examples / "nucleotide_query.fasta", *NUCLEOTIDES)["job"]["job_id"]
    done = multiblast("report", job, "--format", 6, "--fields", "qseqid stitle", "--out", "table")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "table" / "report.tsv").read_text().splitlines()
    assert lines
    assert {line.count("\t") for line in lines} == {1}


def test_targets_are_listed_by_the_names_to_give(multiblast: Run, answer: Answer) -> None:
    assert answer("targets") == {
        "demo": {"examples": {"aaTargets": ["proteins"], "naTargets": ["nucleotides"]}},
    }
    assert "demo/examples/proteins" in multiblast("targets").stdout


def test_commands_of_the_readme_work_as_printed(multiblast: Run, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "proteins.fasta").write_bytes((examples / "protein_query.fasta").read_bytes())
    text = (examples.parents[1] / "README.md").read_text().partition("## At a terminal")[2].partition("```\n")[0]
    commands = re.findall(r"^\$ multiblast (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"search", "targets", "report"}
    for command in commands:
        done = multiblast(*shlex.split(command, comments=True))
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "results" / "report.xml").exists()
    assert (tmp_path / "results" / "report.tsv").exists()


def test_demo_ends_by_saying_how_to_open_the_page(multiblast: Run, tmp_path: Path) -> None:
    done = multiblast("demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "In a browser: make up, then open the address that it prints first."
    assert (tmp_path / "results" / "format-html" / "report.html").exists()


def test_help_names_every_command(multiblast: Run) -> None:
    done = multiblast("--help")
    assert done.returncode == 0
    assert {"search", "report", "targets", "demo"} <= set(done.stdout.split())


def test_every_problem_is_told_at_once(multiblast: Run, tmp_path: Path) -> None:
    (tmp_path / "query.fasta").write_bytes(b">a\n>b\nMKV1?\n")
    done = multiblast("search", "query.fasta", "--target", "demo/examples/nosuch")
    said = " ".join(done.stderr.split())
    assert "nosuch" in said
    assert "'a' has no residues" in said


def test_nucleotides_for_a_protein_program_are_legal_but_noted(multiblast: Run, tmp_path: Path) -> None:
    (tmp_path / "query.fasta.gz").write_bytes(gzip.compress(b">a\n" + b"ACGT" * 20 + b"\n"))
    done = multiblast("search", "query.fasta.gz", *TARGET)
    assert done.returncode == 0, done.stderr
    assert "looks like a nucleotide sequence" in " ".join(done.stdout.split())


def test_report_of_no_job_is_bad_input(multiblast: Run) -> None:
    done = multiblast("report", "0" * 32)
    assert done.returncode == 2
    assert "no query job" in done.stderr


def test_example_script_prints_the_job_and_first_hits(live: dict[str, str], examples: Path) -> None:
    import sys

    script = examples.parent / "submit.py"
    command = [sys.executable, script, examples / "protein_query.fasta"]
    done = subprocess.run(command, cwd=examples, env=live, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is complete" in done.stdout
    assert "tr|G3TPC2|G3TPC2_LOXAF" in done.stdout
