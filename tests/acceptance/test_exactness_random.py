"""A few of the random draws of `make exactness`, always the same ones."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parents[1] / "exactness" / "random_draws.py"
_SPEC = importlib.util.spec_from_file_location("random_draws", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
random_draws = importlib.util.module_from_spec(_SPEC)
sys.modules["random_draws"] = random_draws
_SPEC.loader.exec_module(random_draws)

SEED, DRAWS = 11, 5


def test_random_draws_are_what_plain_blast_prints(tmp_path: Path) -> None:
    place = random_draws.Place(tmp_path)
    place.build()
    found = {seed: place.compare(random_draws.draw(seed)) for seed in (f"{SEED}-{n}" for n in range(DRAWS))}
    assert {seed: lines for seed, (outcome, lines) in found.items() if outcome == "different"} == {}
    assert sum(outcome == "same" for outcome, _ in found.values()) >= DRAWS / 2
