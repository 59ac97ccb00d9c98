"""Code runs of BLAST jobs: what was searched, where, how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast
from uuid import UUID

import yaml
from sqlmodel import Session

from multiblast.ids import digest
from multiblast.registry.config.searches import DatabaseOrigin, SearchRecord, shell_script
from multiblast.registry.local.records import (
    CodeRunFacts,
    find_product,
    name_object,
    record_content,
    record_object,
    record_run,
    user_author_id,
)
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import CodeRunRow
from multiblast.registry.model.tables import KeyValue


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file that a BLAST job read or wrote: what it is called in the registry, and where it is now."""

    name: ProductName
    path: Path
    file_type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class BlastJob:
    """The facts of one BLAST job, for its provenance.

    Attributes:
        run_id: 32 hexadecimal digits; recording a run again changes nothing.
        site: The namespace of all that is recorded.
        user: The requester; empty for nobody in particular.
        searched: The search, which is all of a query job, and what a report job shows.
        report_id: Of a report job.
        report_command: The formatter's; empty of formats that are ours.
        reports: The files that came of it; none of a query job.
    """

    run_id: str
    at: datetime
    site: str
    user: str
    searched: SearchRecord
    query: JobFile
    report_id: str = ""
    report_command: Sequence[str] = ()
    reports: Sequence[JobFile] = ()

    @property
    def description(self) -> str:
        """What was done, in a few words."""
        done = f"report {self.report_id} of" if self.report_id else f"{self.searched.program} search,"
        return f"{done} query job {self.searched.job_id}"

    @property
    def config(self) -> str:
        """What was requested."""
        requested = {
            "program": self.searched.program,
            "program_version": self.searched.program_version,
            "databases": dict(self.searched.databases),
            "options": dict(self.searched.options),
            **({"parts": list(self.searched.parts)} if self.searched.parts else {}),
        }
        return yaml.safe_dump(requested | ({"report": self.report_id} if self.report_id else {}))


def record_blast_job(registry: Registry, job: BlastJob) -> str:
    """Record a BLAST job as a code run of the local registry; return the run's UUID.

    A query job reads query and databases, and writes its results; a report job
    reads these too, and writes its files. Databases and results stay where they
    are: they are recorded as data products whose version has their digest in it.

    Raises:
        ConflictError: a file of that name and version exists with another content.
        StoreError: a file cannot be kept.
    """
    run_id = str(UUID(job.run_id))
    contents = [(file, registry.files.add(file.path).sha1) for file in (job.query, *job.reports)]
    with registry.transaction(), registry.session() as session:
        if registry.find(CodeRunRow, [{"uuid": run_id}])[0] is not None:
            return run_id
        author = user_author_id(session, job.user or "guest")
        query, *reports = (
            record_content(
                registry, file.name, sha1, file_type=file.file_type, description=file.description, authors=[author]
            ).object_id
            for file, sha1 in contents
        )
        databases = [record_database(session, *one) for one in sorted(job.searched.databases.items())]
        results = _record_results(session, job)
        run = CodeRunFacts(
            uuid=run_id,
            at=job.at,
            description=job.description,
            config=job.config,
            script=shell_script([*job.searched.commands, job.report_command]),
            script_type="sh",
            author=author,
            inputs=[query, *databases, *(results if job.report_id else [])],
            outputs=reports if job.report_id else results,
            facts=job.searched.facts,
        )
        record_run(registry, session, run)
    return run_id


def record_database(session: Session, target: str, fingerprint: str) -> int:
    """Record a BLAST database, which stays where it is, by name and fingerprint; return its object."""
    site, _, rest = target.partition("/")
    name = ProductName(site, f"databases/{rest or site}", f"0.0.0+{fingerprint}")
    return _record_absent(session, name, f"BLAST database {target}", {"fingerprint": fingerprint})


def record_making(  # noqa: PLR0913, PLR0917 - what was made of what, by whom and when
    registry: Registry, session: Session, made: DatabaseOrigin, product: int, database: tuple[str, str], author: int,
    at: datetime, *, public: bool,
) -> None:  # fmt: skip
    """Record once that a database, given by name and fingerprint, was made of a data product's object."""
    name, fingerprint = database
    run_id = str(UUID(digest("code-run/1", ["database", name, fingerprint])))
    if registry.find(CodeRunRow, [{"uuid": run_id}])[0] is not None:
        return
    facts = {"program_version": made.program_version} if made.program_version else {}
    run = CodeRunFacts(
        uuid=run_id,
        at=at,
        description=f"BLAST database {name}",
        config=yaml.safe_dump({"database": name, "fingerprint": fingerprint, **facts}),
        script=shell_script([made.command]),
        script_type="sh",
        author=author,
        inputs=[product],
        outputs=[record_database(session, name, fingerprint)],
        facts=facts,
        public=public,
    )
    record_run(registry, session, run)


def _record_results(session: Session, job: BlastJob) -> list[int]:
    """Record the results of the search; a report of a part of them is made from what has no digest yet."""
    if not job.searched.results_digest:
        return []
    name = ProductName(job.site, f"results/{job.searched.job_id}", f"0.0.0+{job.searched.results_digest}")
    description = f"results of query job {job.searched.job_id}"
    return [_record_absent(session, name, description, {"results_digest": job.searched.results_digest})]


def _record_absent(session: Session, name: ProductName, description: str, facts: Mapping[str, str]) -> int:
    """Record a data product without its file; return its object."""
    before = find_product(session, name)
    if before is not None:
        return before.object_id
    number = cast("int", record_object(session, location=None, description=description).id)
    session.add_all(KeyValue(object_id=number, key=key, value=value) for key, value in facts.items())
    return name_object(session, name, number).object_id
