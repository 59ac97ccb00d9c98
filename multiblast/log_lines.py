"""What log lines have beside their message: which job they are about."""

from __future__ import annotations

from contextvars import ContextVar

_job: ContextVar[str] = ContextVar("job", default="")


def set_job(job_id: str) -> None:
    """Name the job that this run or thread works on from here on."""
    _job.set(job_id)


def current_job() -> str:
    """Return the job that this run or thread works on; empty if it is none."""
    return _job.get()
