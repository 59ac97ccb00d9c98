"""Where people reach over HTTP what belongs to a job: the addresses that pages of runs and commands print."""

from __future__ import annotations

import os

from multiblast.database import JobKind
from multiblast.environment import HTTP_URL


def address_of(kind: JobKind, job_id: str, *parts: str) -> str:
    """Return the address of a job, or of a part of it such as ``files``, NAME; empty if no service is known.

    It works as long as there is the job. Who may read it is decided when it is read.
    """
    service = os.environ.get(HTTP_URL, "").rstrip("/")
    return "/".join((service, kind, "jobs", job_id, *parts)) if service else ""
