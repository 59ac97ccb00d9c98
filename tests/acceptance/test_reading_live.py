"""Commands that only read, on a server that `make up` started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


def test_reading_commands_do_without_prefect(live: dict[str, str], tmp_path: Path) -> None:
    """Its import takes seconds; the server is asked, without it, whether its blocks say what is so anyway."""
    command = [sys.executable, "-X", "importtime", "-m", "multiblast", "jobs", "list", "--json"]
    done = subprocess.run(command, env=live, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "multiblast.services" in imported
    assert "prefect" not in imported
    assert done.stdout.startswith("[")
