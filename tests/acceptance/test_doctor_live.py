"""``multiblast doctor`` on a server that `make up` started, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_doctor_finds_a_started_service_well(multiblast: Run) -> None:
    done = multiblast("doctor", "--json")
    found = {finding["name"]: finding["verdict"] for finding in json.loads(done.stdout)}
    disk = found.pop("free disk")  # as the machine of the tests has it
    assert set(found) >= {"Prefect", "clock", "blocks", "worker", "job database", "result storage", "BLAST+ programs"}
    assert set(found.values()) == {"ok"}, done.stdout
    assert done.returncode == (disk == "fail")


def test_doctor_of_nothing_says_what_to_do_first(live: dict[str, str], tmp_path: Path) -> None:
    environment = live | {"MULTIBLAST_HOME": str(tmp_path / "home")}
    command = [Path(sys.executable).with_name("multiblast"), "doctor"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no server runs" in done.stdout
    assert "multiblast make-target" in done.stdout
