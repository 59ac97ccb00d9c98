"""Where the log lines of a command at a terminal go (see ``logging.yml``)."""

from __future__ import annotations

import logging
import logging.handlers
import sys

from deployments import environment

__all__ = ["CommandLog", "Terminal"]

_LIMIT_BYTES = 5 << 20


class CommandLog(logging.handlers.RotatingFileHandler):
    """A file under our home with the lines of all commands, the last 5 to 10 MB of them."""

    def __init__(self) -> None:
        super().__init__(environment.log_file("commands"), maxBytes=_LIMIT_BYTES, backupCount=1, delay=True)


class Terminal(logging.Handler):
    """One line a warning on standard error, whatever that is by then: a live display takes its place.

    Errors of runs are left out: they reach the caller as exceptions, and are shown once, there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what is shown elsewhere."""
        of_a_run = record.name.startswith(("prefect.flow_runs", "prefect.task_runs"))
        return not (of_a_run and record.levelno > logging.WARNING) and super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Print level and message, without the traceback that is in the file."""
        try:
            sys.stderr.write(f"{record.levelname.lower()}: {record.getMessage()}\n")
        except Exception:  # noqa: BLE001 - a handler must never raise
            self.handleError(record)
