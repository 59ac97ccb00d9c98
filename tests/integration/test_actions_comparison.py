"""What a change of databases did to a result."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from multiblast.accounts import Requester
from multiblast.actions.comparison import write_changes
from multiblast.database import utc_now
from multiblast.errors import ConflictError, NotAllowedError
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.targets import Targets
from tests.support.sequences import fasta

ANN = Requester("ann")


@pytest.fixture
def rebuild(tmp_path: Path, make_services: Callable[..., Services]) -> Callable[..., Services]:
    """``rebuild(sequences, ids=True)``: services over one database that is built anew with these."""
    root = tmp_path / "targets"

    def build(sequences: list[Sequence], *, ids: bool = True) -> Services:
        source = tmp_path / "database.fasta"
        source.write_text("".join(f">s{n}\n{s.residues.decode()}\n" for n, s in enumerate(sequences)))
        place = root / "demo" / "examples" / "blast"
        command = ["makeblastdb", "-in", source, "-dbtype", "prot", "-out", place / "proteins"]
        command += ["-parse_seqids"] if ids else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        services = make_services(root=root)
        services.policy = Policy(trust_unnamed=False)
        services.targets = Targets(root)
        return services

    return build


def restart(services: Services, job_id: str) -> None:
    services.queries.restart(ANN, job_id)
    services.queries.run(job_id).execute()


@pytest.mark.parametrize("ids", [True, False])
def test_comparison_tells_hits_gained_lost_and_changed(
    ids: bool,
    rebuild: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
) -> None:
    """The database loses its second sequence, gets a new third one, and its first is cut in half."""
    first, second, third = proteins[7:10]
    services = rebuild([first, second], ids=ids)
    job = search_whole(services, fasta([first, second, third]), user="ann", evalue=1e-20)
    half = Sequence(b"half", first.residues[: first.length // 2])
    services = rebuild([half, Sequence(b"other", b"MKV" * 40), third], ids=ids)
    restart(services, job.job_id)
    found = services.queries.compare(ANN, job.job_id)
    told = [(change.position, change.subject, change.change) for change in found.changes]
    assert told == [(1, "s0", "changed"), (2, "s1", "lost"), (3, "s2", "gained")]
    assert (found.gained, found.lost, found.changed, found.sequences, found.not_comparable) == (1, 1, 1, 3, 0)
    assert found.changes[0].bit_score_before > found.changes[0].bit_score_after > 0
    output = io.StringIO()
    write_changes(found.changes, output)
    lines = output.getvalue().splitlines()
    assert lines[0].startswith("position\tsequence\tsubject\tchange\tevalue_before")
    assert [line.split("\t")[3] for line in lines[1:]] == ["changed", "lost", "gained"]


def test_comparison_says_when_old_results_are_gone(
    rebuild: Callable[..., Services],
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
) -> None:
    services = rebuild(proteins[8:10])
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    services = rebuild(proteins[8:9])
    restart(services, job.job_id)
    services.queries.pin(ANN, job.job_id)
    services.expiry.run(utc_now() + timedelta(days=31))
    found = services.queries.compare(ANN, job.job_id)
    assert (found.sequences, found.not_comparable, list(found.changes)) == (0, 1, [])


def test_comparison_of_a_job_searched_once_says_that_there_is_nothing(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    job = search_whole(services, fasta(proteins[8:9]), user="ann")
    assert not services.queries.can_compare(job.job_id)
    with pytest.raises(ConflictError, match="nothing to compare"):
        services.queries.compare(ANN, job.job_id)
    with pytest.raises(NotAllowedError):
        services.queries.compare(Requester("bob"), job.job_id)


def test_comparison_says_when_nobody_knows_what_numbers_meant(
    services: Services, search_whole: Callable[..., SearchedJob], proteins: list[Sequence]
) -> None:
    """The demo database knows its sequences by number only; what these mean is kept beside the results."""
    one = search_whole(services, fasta(proteins[8:9]), user="ann")
    two = search_whole(services, fasta(proteins[8:9]), user="ann", evalue=1e-3)
    found = services.queries.compare(ANN, two.job_id, one.job_id)
    assert found.lost > 0 == found.gained + found.changed
    assert not [change.subject for change in found.changes if change.subject.startswith("gnl|BL_ORD_ID|")]
    services.store.delete(stored.key for stored in list(services.store.list("names/")))
    with pytest.raises(ConflictError, match="parse_seqids"):
        services.queries.compare(ANN, two.job_id, one.job_id)
