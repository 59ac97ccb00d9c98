"""Every sequence is searched once, whoever asks, whatever its header."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiblast.jobs import TargetName
from multiblast.options import parse_options
from multiblast.search import SearchedJob, read_submission
from multiblast.search.resolver import Resolver
from multiblast.sequences import Sequence
from multiblast.services import Services
from tests.support.sequences import fasta

Submit = Callable[..., SearchedJob]
Runs = Callable[[Services], list[int]]


def renamed(sequences: list[Sequence], seed: int) -> list[Sequence]:
    shuffled = list(sequences)
    random.Random(seed).shuffle(shuffled)
    return [Sequence(b"other %d" % number, sequence.residues) for number, sequence in enumerate(shuffled)]


def test_search_of_many_gives_each_its_result(submit: Submit, proteins: list[Sequence]) -> None:
    job = submit(fasta(proteins), evalue=1e-5)
    assert job.status == "complete"
    assert [row.hits for row in job.rows] == [128, 133, 30, 27, 18, 9, 8, 5, 4, 3, 0, 27]
    assert [row.name for row in job.rows] == [sequence.name for sequence in proteins]
    assert job.searched == 11  # one is there twice, under two names
    assert job.rows[10].note == "no hits"
    assert job.rows[0].best_hit.startswith(("sp|", "tr|"))


def test_search_of_shuffled_and_renamed_sequences_runs_nothing(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs
) -> None:
    first = submit(fasta(proteins))
    before = searches_run(services)
    again = submit(fasta(renamed(proteins, 1)))
    assert searches_run(services) == before
    assert again.job_id != first.job_id
    assert {row.origin for row in again.rows} == {"reused"}


def test_search_with_one_more_sequence_searches_just_that(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs
) -> None:
    submit(fasta(proteins[:5]))
    before = searches_run(services)
    job = submit(fasta(proteins[:6]))
    assert searches_run(services) == [*before, 1]
    assert [row.origin for row in job.rows] == ["reused"] * 5 + ["searched"]


def test_search_with_another_option_searches_again(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs
) -> None:
    submit(fasta(proteins[:1]))
    submit(fasta(proteins[:1]), evalue=1e-5)
    assert searches_run(services) == [1, 1]


def test_run_reuses_what_another_searched_since_it_was_planned(services: Services, proteins: list[Sequence]) -> None:
    """Each says what it has searched itself."""
    queries, who = services.queries, services.accounts.requester("")
    parts = [fasta(proteins[:8]), fasta(proteins[4:11])]
    submissions = [read_submission(query=part, targets=["demo/examples/proteins"]) for part in parts]
    runs = [queries.run(queries.submit(who, submission).job_id) for submission in submissions]
    plans = [run.plan() for run in runs]
    assert [plan.unknown for plan in plans] == [8, 7]
    done = [run.execute(plan) for run, plan in zip(runs, plans, strict=True)]
    assert [(job.searched, job.reused) for job in done] == [(8, 0), (3, 4)]
    assert [row.origin for row in done[1].rows] == ["reused"] * 4 + ["searched"] * 3


@pytest.mark.parametrize("wrapped", [lambda text: text.replace("\n", "\r\n"), lambda text: text + "\n\n", str.lower])
def test_search_does_not_care_how_a_sequence_is_written(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs, wrapped: Callable[[str], str]
) -> None:
    submit(fasta(proteins[:2]))
    before = searches_run(services)
    submit(wrapped(fasta(proteins[:2])))
    assert searches_run(services) == before


def test_search_minds_case_where_it_masks(
    submit: Submit, services: Services, proteins: list[Sequence], searches_run: Runs
) -> None:
    residues = proteins[0].residues
    submit(f">a\n{residues.decode()}\n", lcase_masking=True)
    submit(f">a\n{residues[:20].lower().decode()}{residues[20:].decode()}\n", lcase_masking=True)
    assert searches_run(services) == [1, 1]


def test_search_in_volumes_that_blast_orders_otherwise_is_another(
    make_services: Callable[..., Services], tmp_path: Path, proteins: list[Sequence]
) -> None:
    """It orders them by their names, which are no part of their databases' content."""
    place = tmp_path / "root" / "demo" / "zoo" / "blast"
    place.mkdir(parents=True)
    for name, sequence in zip(("ape", "bee", "cat"), proteins, strict=False):
        command = ["makeblastdb", "-dbtype", "prot", "-blastdb_version", "4", "-in", "-", "-title", "one", "-out", name]
        subprocess.run(command, cwd=place, input=fasta([sequence]).encode(), check=True, capture_output=True)
    for file in list(place.glob("cat.*")):
        shutil.copyfile(file, place / f"bat{file.suffix}")
    for alias, members in (("after", "ape bat"), ("around", "ape cat")):
        (place / f"{alias}.pal").write_text(f"TITLE zoo\nDBLIST {members}\n")
    services = make_services(root=tmp_path / "root")
    resolver, options = Resolver(services.installation, services.targets), parse_options("blastp")
    around, after = (
        resolver.resolve("demo", (TargetName("zoo", "bee"), TargetName("zoo", alias)), options)
        for alias in ("around", "after")
    )
    assert [one.fingerprint for one in around.databases] == [one.fingerprint for one in after.databases]
    assert around.search_key != after.search_key


def test_search_of_one_sequence_is_a_job_without_children(
    submit: Submit, services: Services, proteins: list[Sequence]
) -> None:
    job = submit(fasta(proteins[:1]))
    children = list(services.queries.jobs.children(services.queries.jobs.query(job.job_id)))
    assert [child.job_id for child in children] == [job.job_id]


def test_child_is_the_job_of_its_sequence_alone(submit: Submit, proteins: list[Sequence]) -> None:
    parent = submit(fasta(proteins[:3]))
    alone = submit(fasta(proteins[1:2]))
    assert alone.job_id == parent.rows[1].job_id
    assert alone.searched == 0


def test_search_of_a_damaged_store_finds_again_what_was_lost(
    submit: Submit, services: Services, proteins: list[Sequence]
) -> None:
    """A result whose pack is gone is not believed."""
    submit(fasta(proteins[:2]))
    services.store.delete([item.key for item in services.store.list("packs/")])
    again = submit(fasta(proteins[:2]))
    assert again.searched == 2
    assert list(services.queries.results.archives([row.result_key for row in again.rows]))


def test_search_that_was_planned_while_the_store_was_away_ends_once_it_is_back(
    services: Services, submit: Submit, proteins: list[Sequence], tmp_path: Path
) -> None:
    submit(fasta(proteins[:3]))
    submission = read_submission(query=fasta(proteins[:2]), targets=["demo/examples/proteins"])
    run = services.queries.run(services.queries.submit(services.accounts.requester(""), submission).job_id)
    packs = tmp_path / "home" / "store" / "packs"
    packs.rename(packs.with_name("away"))
    plan = run.plan()
    packs.with_name("away").rename(packs)
    assert (plan.unknown, bool(plan.lost)) == (2, True)
    done = run.execute(plan)
    assert (done.status, done.searched, done.reused) == ("complete", 0, 2)
