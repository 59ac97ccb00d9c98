"""What log lines look like: at a terminal (see ``logging.yml``), and of services (``service_logging.yml``)."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
from datetime import UTC, datetime

from deployments import environment
from multiblast.log_lines import current_job

_LIMIT_BYTES = 5 << 20


class CommandLog(logging.handlers.RotatingFileHandler):
    """A file under our home with the lines of all commands, the last 5 to 10 MB of them."""

    def __init__(self) -> None:
        super().__init__(environment.log_file("commands"), maxBytes=_LIMIT_BYTES, backupCount=1, delay=True)


class Terminal(logging.Handler):
    """One line per warning on standard error, whatever that is by then: a live display takes its place.

    Errors of runs are left out: they reach the caller as exceptions, and are shown once, there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what is shown elsewhere."""
        of_a_run = record.name.startswith(("prefect.flow_runs", "prefect.task_runs"))
        return not (of_a_run and record.levelno > logging.WARNING) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Print level and message, without the traceback that is in the file."""
        try:
            sys.stderr.write(f"{record.levelname.lower()}: {record.getMessage()}\n")
        except Exception:  # noqa: BLE001 - a handler must never raise
            self.handleError(record)


class PlainLines(logging.Formatter):
    """One line per event for people: its message, then what it is about as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows on lines of its own."""
        facts = "".join(f" {name}={value}" for name, value in _facts(record).items())
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{_time(record)} | {record.levelname:7} | {record.name} - {record.getMessage()}{facts}{trace}"


class JsonLines(logging.Formatter):
    """One JSON object an event on one line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is in it."""
        said = {"time": _time(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps(said | _facts(record) | {"process": record.process} | trace, default=str)


def configure() -> None:
    """Log as services do, to standard error; for one that needs nothing of Prefect, which would see to it."""
    as_json = os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER") == "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("multiblast").setLevel(logging.INFO)


def _facts(record: logging.LogRecord) -> dict[str, str]:
    """Return what a record is about, as far as that is known: job, child (a result key), flow run, task run."""
    facts = {
        "job": getattr(record, "job", "") or current_job(),
        "child": getattr(record, "child", ""),
        "flow_run": getattr(record, "flow_run_id", "") or _flow_run(),
        "task_run": getattr(record, "task_run_id", ""),
    }
    return {name: str(value) for name, value in facts.items() if value}


def _flow_run() -> str:
    """Return the flow run that a line of our own is written in; Prefect's own lines say it themselves."""
    context = sys.modules.get("prefect.context")  # while Prefect is imported, nothing runs
    if context is None or not hasattr(context, "TaskRunContext"):
        return ""
    if task := context.TaskRunContext.get():
        return str(task.task_run.flow_run_id or "")
    flow = context.FlowRunContext.get()
    return str(flow.flow_run.id) if flow and flow.flow_run else ""


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
