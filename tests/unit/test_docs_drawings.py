"""The drawings in the explanations are those that the code makes."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from multiblast.jobs import MOVES

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"
DOMAIN = Path(__file__).parents[2] / "multiblast"


@pytest.mark.parametrize(("script", "drawing"), [("draw_states.py", "states.svg"), ("draw_floors.py", "floors.svg")])
def test_drawing_is_current(script: str, drawing: str) -> None:
    drawn = runpy.run_path(str(EXPLANATION / script))["draw"]()
    assert (EXPLANATION / drawing).read_text(encoding="utf-8") == drawn, f"run docs/explanation/{script}"


def test_architecture_names_every_room_of_the_domain() -> None:
    table = re.findall(r"^\| (`.*`) \|", (EXPLANATION / "architecture.md").read_text(), re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(table))
    rooms = [path.stem for path in DOMAIN.iterdir() if not path.name.startswith("_")]
    assert sorted(named) == sorted(rooms)


def test_drawing_of_states_shows_every_move() -> None:
    svg = (EXPLANATION / "states.svg").read_text()
    assert svg.count("marker-end") == sum(map(len, MOVES.values()))
    assert all(f">{status}</text>" in svg for status in MOVES)
