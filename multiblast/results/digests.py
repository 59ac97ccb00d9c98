"""The digest of all results of a job, to tell after an expiry whether they are the same again."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from multiblast.database import ChildJob, QueryJob, Result

__all__ = ["results_digest"]


def results_digest(session: Session, job: QueryJob) -> str:
    """Return the SHA-256 over the digests of a job's results, in the order of its query; empty if one is missing."""
    hasher, found = hashlib.sha256(), 0
    if job.sequences == 1:
        statement = select(Result.digest).where(Result.key == job.result_key)
    else:
        statement = (
            select(Result.digest)
            .join(ChildJob, col(ChildJob.result_key) == Result.key)
            .where(ChildJob.parent_id == job.id)
            .order_by(col(ChildJob.position))
        )
    for digest in session.exec(statement):
        hasher.update(bytes.fromhex(digest))
        found += 1
    return hasher.hexdigest() if found == job.sequences else ""
