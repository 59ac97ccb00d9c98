"""A data steward pulls, runs and pushes by the deployments' forms, in a real browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.browser
def test_registry_walk_pulls_runs_and_pushes(live: dict[str, str], tmp_path: Path) -> None:
    """The walk itself checks what it sees, and that each run completes; a picture of each page is left of it."""
    script = Path(__file__).resolve().parents[2] / "docs" / "screenshots_registry.py"
    command = [sys.executable, script, live["UI_URL"], tmp_path]
    done = subprocess.run(command, env=live, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {"pull": "pull", "run": "provenance", "push": "push"}
    wanted = {f"registry-{step}{more}" for step, shown in steps.items() for more in ("-form", "", f"-{shown}")}
    assert {path.stem for path in tmp_path.glob("*.png")} == wanted
