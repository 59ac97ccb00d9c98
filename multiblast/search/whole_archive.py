"""The result of a complete job as one BLAST archive."""

from __future__ import annotations

from typing import BinaryIO

from multiblast.archive import merge
from multiblast.database import QueryJob
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError
from multiblast.search.engine import SearchEngine
from multiblast.search.last_run import searched_databases
from multiblast.targets import database_argument


def write_archive(engine: SearchEngine, job: QueryJob, output: BinaryIO) -> int:
    """Write the results of a job, merged while they are read; return the number of sequences."""
    archives = engine.results.archives(child.result_key for child in engine.jobs.children(job))
    parts = zip((sequence.defline for sequence in engine.sequences(job)), archives, strict=True)
    return merge(parts, output, _database_argument(engine, job))


def _database_argument(engine: SearchEngine, job: QueryJob) -> str:
    """Return where the databases are now, or were when the job was searched if they have changed since."""
    try:
        return database_argument(engine.resolver.context(job).databases)
    except (ConflictError, InvalidInputError) as error:
        run = engine.jobs.last_run(job.id)
        if run is None:
            raise NotFoundError("run of query job", job.id, "restart it") from error
        return searched_databases(run)
