"""Code runs of BLAST jobs: what was searched, where, how, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import yaml
from sqlmodel import Session

from multiblast.ids import digest
from multiblast.registry.local.code_runs import Run, record_run
from multiblast.registry.local.records import (
    ProductName,
    find_product,
    namespace_id,
    record_content,
    record_object,
    user_author_id,
)
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.tables import DataProduct, KeyValue

__all__ = ["BlastJob", "File", "Made", "Searched", "record_blast_job", "record_database", "record_making"]


@dataclass(frozen=True, slots=True)
class Made:
    """How a database was made of a data product.

    Attributes:
        product: What the configuration calls the data product.
        command: What made it, as an argument list.
        program_version: Of what built it; empty if it was only unpacked.
    """

    product: str
    command: Sequence[str]
    program_version: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """What must be known of a search to tell years later what it was.

    Attributes:
        job_id: The query job.
        program_version: Of the program that searched.
        databases: The fingerprint of each by its name, SITE/TARGET/DATABASE.
        options: As given; left alone, the defaults of that version hold.
        commands: What was run, as argument lists.
        results_digest: Of all results, in the order of the query.
        made: How those of the databases were made that come from data products, by name.
    """

    job_id: str
    program: str
    program_version: str
    databases: Mapping[str, str]
    options: Mapping[str, Any]
    commands: Sequence[Sequence[str]]
    results_digest: str
    made: Mapping[str, Made] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """What can be said in a word."""
        return {
            "job_id": self.job_id,
            "program": self.program,
            "program_version": self.program_version,
            "results_digest": self.results_digest,
        }

    @property
    def script(self) -> str:
        """The commands as a person would type them."""
        return _typed(self.commands)


@dataclass(frozen=True, slots=True)
class File:
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
        user: Who asked for it; empty for nobody in particular.
        searched: The search, which is all of a query job, and what a report job shows.
        query: The sequences.
        report_id: Of a report job.
        report_command: The formatter's; empty of formats that are ours.
        reports: The files that came of it; none of a query job.
    """

    run_id: str
    at: datetime
    site: str
    user: str
    searched: Searched
    query: File
    report_id: str = ""
    report_command: Sequence[str] = ()
    reports: Sequence[File] = ()

    @property
    def description(self) -> str:
        """What was done, in a few words."""
        done = f"report {self.report_id} of" if self.report_id else f"{self.searched.program} search,"
        return f"{done} query job {self.searched.job_id}"

    @property
    def config(self) -> str:
        """What was asked for."""
        asked = {
            "program": self.searched.program,
            "program_version": self.searched.program_version,
            "databases": dict(self.searched.databases),
            "options": dict(self.searched.options),
        }
        return yaml.safe_dump(asked | ({"report": self.report_id} if self.report_id else {}))


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
        if registry.find("code_run", [{"uuid": run_id}])[0] is not None:
            return run_id
        author = user_author_id(session, job.user or "guest")
        query, *reports = (_record_content(registry, file, sha1, author) for file, sha1 in contents)
        databases = [record_database(session, *one) for one in sorted(job.searched.databases.items())]
        results = _record_results(session, job)
        run = Run(
            uuid=run_id,
            at=job.at,
            description=job.description,
            config=job.config,
            script=_typed([*job.searched.commands, job.report_command]),
            script_type="sh",
            author=author,
            inputs=[query, *databases, *(results if job.report_id else [])],
            outputs=reports if job.report_id else results,
            facts=job.searched.facts,
        )
        record_run(registry, session, run)
    return run_id


def _record_content(registry: Registry, file: File, sha1: str, author: int) -> int:
    recorded = record_content(
        registry, file.name, sha1, file_type=file.file_type, description=file.description, authors=[author]
    )
    return recorded.object_id


def record_database(session: Session, target: str, fingerprint: str) -> int:
    """Record a BLAST database, which stays where it is, by name and fingerprint; return its object."""
    site, _, rest = target.partition("/")
    name = ProductName(site, f"databases/{rest or site}", f"0.0.0+{fingerprint}")
    return _record_absent(session, name, f"BLAST database {target}", {"fingerprint": fingerprint})


def record_making(  # noqa: PLR0913, PLR0917 - what was made of what, by whom and when
    registry: Registry, session: Session, made: Made, product: int, database: tuple[str, str], author: int,
    at: datetime, *, public: bool,
) -> None:  # fmt: skip
    """Record once that a database, given by name and fingerprint, was made of a data product's object."""
    name, fingerprint = database
    run_id = str(UUID(digest("code-run/1", ["database", name, fingerprint])))
    if registry.find("code_run", [{"uuid": run_id}])[0] is not None:
        return
    facts = {"program_version": made.program_version} if made.program_version else {}
    run = Run(
        uuid=run_id,
        at=at,
        description=f"BLAST database {name}",
        config=yaml.safe_dump({"database": name, "fingerprint": fingerprint, **facts}),
        script=_typed([made.command]),
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
    space = namespace_id(session, name.namespace)
    session.add(DataProduct(name=name.name, version=name.version, namespace_id=space, object_id=number))
    session.flush()
    return number


def _typed(commands: Sequence[Sequence[str]]) -> str:
    return "".join(shlex.join(command) + "\n" for command in commands if command)
