"""A few of the random draws of `make exactness`, always the same ones."""

from __future__ import annotations

from pathlib import Path

from tests.exactness.random_draws import Place, draw

SEED, DRAWS = 11, 5


def test_random_draws_are_what_plain_blast_prints(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.build()
    found = {seed: place.compare(draw(seed)) for seed in (f"{SEED}-{number}" for number in range(DRAWS))}
    assert {seed: lines for seed, (outcome, lines) in found.items() if outcome == "different"} == {}
    assert sum(outcome == "same" for outcome, _ in found.values()) >= DRAWS / 2
