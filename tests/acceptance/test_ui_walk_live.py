"""A person walks through the UI in a real browser: form, run page during and after, table, report form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


@pytest.mark.browser
def test_walk_through_the_ui_sees_form_progress_table_and_report_form(live: dict[str, str], tmp_path: Path) -> None:
    """The walk itself checks what it sees; a picture of each page is what is left of it."""
    script = Path(__file__).resolve().parents[2] / "docs" / "make_screenshots.py"
    command = [sys.executable, script, live["UI_URL"], tmp_path]
    done = subprocess.run(command, env=live, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {path.stem for path in tmp_path.glob("*.png")}
    assert kept == {"deployments", "form", "run-page-during", "run-page", "sequences", "report-form"}
