"""Prefect's settings in the environment: the one place where its settings are chosen."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from multiblast.ids import digest
from multiblast.settings import home

POOL = "search"
PREFECT_FILE = "deployments/prefect.yaml"
CHECKOUT = Path(__file__).resolve().parent.parent

_SETTINGS = {
    # The server: no telemetry, writes of task runs in batches (3-4 times cheaper), old runs swept.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # A page asks the API of the server that it came from, whatever that is called where the browser is.
    "PREFECT_UI_API_URL": "/api",
    # Runs say so often that they live; `deployments.register` has what notices that one does not.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # Longer than a server on SQLite may be locked.
    "PREFECT_API_REQUEST_TIMEOUT": "150",
    # Workers and `run_deployment`: look for work every second, not every ten.
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
}


def prefect_home() -> Path:
    """Return where Prefect keeps its database and we keep its logs."""
    return home() / "prefect"


def login_file() -> Path:
    """Return the file with what Prefect's pages and API ask for in the full profile, ``NAME:PASSWORD``."""
    return prefect_home() / "login"


def worker_name() -> str:
    """Return what a worker of this home on this machine is called: another one for each, the same at each start."""
    return f"{platform.node()}-{digest('worker/1', str(home()))[:6]}"


def queues() -> dict[str, dict[str, int | None]]:
    """Return the work queues that ``prefect.yaml`` names, with their settings."""
    found: dict[str, dict[str, int | None]] = prefect_file()["definitions"]["queues"]
    return found


def prefect_file() -> dict[str, Any]:
    """Return what ``prefect.yaml`` says."""
    import yaml

    content: dict[str, Any] = yaml.safe_load((CHECKOUT / PREFECT_FILE).read_text())
    return content


def log_file(name: str) -> Path:
    """Return the log of a process we start, in a directory that exists now."""
    directory = prefect_home() / "logs"
    directory.mkdir(parents=True, exist_ok=True)
    return directory / f"{name}.log"


def apply_for_service() -> None:
    """Do as `apply`, and let Prefect log as a service does: for what is not a command at a terminal."""
    apply()
    os.environ.setdefault("PREFECT_LOGGING_CONFIG_PATH", str(Path(__file__).with_name("service_logging.yml")))


def apply() -> None:
    """Set what is not set; to be called before Prefect is first imported, since it reads it then.

    Unless the user has chosen a Prefect of their own (``PREFECT_API_URL``,
    ``PREFECT_PROFILE`` or ``PREFECT_HOME``), everything of Prefect's is kept under
    our home, and ``~/.prefect`` is neither read nor written.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "PREFECT_API_URL" not in os.environ and "PREFECT_PROFILE" not in os.environ:
        os.environ.setdefault("PREFECT_HOME", str(prefect_home()))
