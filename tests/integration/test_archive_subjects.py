"""The subjects of an archive, against what the search summed up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multiblast.archive.summary import read_subjects
from multiblast.errors import ArchiveError
from multiblast.search import SearchedJob
from multiblast.sequences import Sequence
from multiblast.services import Services


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("blastp", {}),
        ("blastp", {"ungapped": True, "comp_based_stats": "0"}),
        ("blastn", {}),
        ("tblastx", {}),
    ],
)
def test_subjects_are_those_of_the_summary(  # noqa: PLR0913, PLR0917 - its fixtures
    services: Services,
    search_whole: Callable[..., SearchedJob],
    proteins: list[Sequence],
    nucleotides: list[Sequence],
    program: str,
    options: dict[str, object],
) -> None:
    sequences = proteins if program == "blastp" else nucleotides
    fasta = b"".join(sequence.canonical for sequence in sequences[:6]).decode()
    job = search_whole(services, fasta, program=program, **options)
    keys = [row.result_key for row in job.rows]
    rows = services.queries.results.known(keys)
    assert sum(row.hits for row in rows.values()) > 20
    for key, archive in zip(keys, services.queries.results.archives(keys), strict=True):
        subjects = list(read_subjects(archive).values())
        assert len(subjects) == rows[key].hits
        if subjects:
            assert min(subject.evalue for subject in subjects) <= (rows[key].evalue or 0)
            assert subjects[0].bit_score >= (rows[key].bit_score or 0)


def test_subjects_of_something_else_are_refused() -> None:
    with pytest.raises(ArchiveError):
        read_subjects(b"Blast4-archive ::= {\n}\n")
