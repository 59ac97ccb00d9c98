"""The short form of ``make chaos``: workers, S3 and PostgreSQL are killed while jobs run, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CHAOS = Path(__file__).resolve().parents[1] / "chaos" / "chaos.py"


def test_jobs_survive_the_death_of_workers_and_servers(postgres_server: str) -> None:
    """The server that is asked for is not used: it says that there are PostgreSQL's programs, to be chosen by."""
    assert postgres_server
    command = [sys.executable, str(CHAOS), "--plain", "--jobs", "6", "--seconds", "8", "--limit", "600"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
