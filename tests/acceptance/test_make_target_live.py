"""``multiblast make-target`` makes what can be searched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_target_made_at_a_terminal_is_listed_and_not_made_twice(
    multiblast: Run, answer: Callable[..., object], examples: Path, tmp_path: Path, live: dict[str, str]
) -> None:
    """And a root of the command's own changes nothing in the server's forms."""
    root = tmp_path / "targets"
    root.mkdir()
    arguments = ("make-target", "lab/mouse/kinases", examples / "protein_query.fasta", "--targets-root", root)
    done = multiblast(*arguments)
    assert done.returncode == 0, done.stderr
    assert answer("targets", "--targets-root", root) == {"lab": {"mouse": {"aaTargets": ["kinases"]}}}
    again = multiblast(*arguments)
    assert again.returncode == 2
    assert "lab/mouse/kinases is there already" in " ".join(again.stderr.split())
    form = httpx.get(f"{live['UI_URL']}/api/deployments/name/submit-blastp/submit-blastp", timeout=60).json()
    assert form["parameter_openapi_schema"]["properties"]["targets"]["items"]["enum"] == ["demo/examples/proteins"]
