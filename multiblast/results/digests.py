"""The digest of all results of a job, to find out after an expiry whether they are the same again."""

from __future__ import annotations

import hashlib

from sqlmodel import Session, col, select

from multiblast.database import ChildJob, QueryJob, Result


def results_digest(session: Session, job: QueryJob) -> str:
    """Return the digest of a job's results; empty if one is missing.

    Of one sequence it is that of its archive; of several it is the SHA-256 over
    theirs, in the order of the query.
    """
    if job.sequences == 1:
        return session.exec(select(Result.digest).where(Result.key == job.result_key)).first() or ""
    hasher, found = hashlib.sha256(), 0
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
