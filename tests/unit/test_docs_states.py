"""The drawing of the states is the one of the table of moves."""

from __future__ import annotations

import runpy
from pathlib import Path

from multiblast.jobs import MOVES

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"


def test_drawing_of_states_is_current() -> None:
    drawing = runpy.run_path(str(EXPLANATION / "draw_states.py"))["draw"]()
    assert (EXPLANATION / "states.svg").read_text() == drawing


def test_drawing_of_states_shows_every_move() -> None:
    svg = (EXPLANATION / "states.svg").read_text()
    assert svg.count("marker-end") == sum(map(len, MOVES.values()))
    assert all(f">{status}</text>" in svg for status in MOVES)
