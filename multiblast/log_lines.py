"""What log lines say beside their message: which job they are about."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["about", "note_job"]

_job: ContextVar[str] = ContextVar("job", default="")


def note_job(job_id: str) -> None:
    """Note that from here on, this run or thread works on a job."""
    _job.set(job_id)


def about() -> str:
    """Return the job that this run or thread works on; empty if it is none."""
    return _job.get()
