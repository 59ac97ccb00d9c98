"""A few of the random draws of `make exactness`, always the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exactness.random_draws import Place, draw

SEED, DRAWS = 11, 5


def test_random_draws_are_what_plain_blast_prints(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.build()
    found = {seed: place.compare(draw(seed)) for seed in (f"{SEED}-{number}" for number in range(DRAWS))}
    assert {seed: lines for seed, (outcome, lines) in found.items() if outcome == "different"} == {}
    assert sum(outcome == "same" for outcome, _ in found.values()) >= DRAWS / 2


@pytest.mark.long
def test_rounds_list_more_sequences_as_found_again_than_plain_blast_may(tmp_path: Path) -> None:
    """Of psiblast with ``-max_target_seqs``, in pairwise text, and nothing else."""
    place = Place(tmp_path)
    place.build()
    outcome, lines = place.compare(draw("1020-114"))
    assert (outcome, len(lines)) == ("listed", 2)
