"""Services log as one setting of Prefect's says: ours and Prefect's lines alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

_LOG = """
import logging
import prefect.main
logging.getLogger("multiblast.search").info("searched", extra={"job": "a1", "child": "b2"})
logging.getLogger("prefect.flow_runs.worker").warning("a worker's line")
"""


def test_services_log_as_json_by_one_setting(tmp_path: Path) -> None:
    settings = {
        "HOME": str(tmp_path),
        "PREFECT_LOGGING_CONFIG_PATH": str(ROOT / "deployments" / "service_logging.yml"),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", _LOG], cwd=ROOT, env=kept | settings, capture_output=True, text=True, check=True
    )
    ours, prefects = map(json.loads, done.stderr.splitlines())
    assert (ours["message"], ours["job"], ours["child"]) == ("searched", "a1", "b2")
    assert (prefects["message"], prefects["level"]) == ("a worker's line", "WARNING")
