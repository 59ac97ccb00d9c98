"""Code runs in the local registry: of scripts and searches, and of every BLAST job."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import yaml
from sqlmodel import Session

from multiblast.registry.local import Registry
from multiblast.registry.recording import (
    ProductName,
    author_id,
    find_product,
    namespace_id,
    record_file,
    record_object,
    record_place,
    record_product,
    whole_of,
)
from multiblast.registry.tables import CodeRun, CodeRunInput, CodeRunOutput, DataProduct, KeyValue, Object

__all__ = ["BlastJob", "File", "Run", "record_blast_job", "record_run"]


@dataclass(frozen=True, slots=True)
class Run:
    """The facts of a code run."""

    uuid: str
    at: datetime
    description: str
    config: str
    script: str
    script_type: str
    repository: str
    commit: str
    public: bool
    author: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    facts: Mapping[str, str]


def record_run(registry: Registry, session: Session, run: Run) -> int:
    """Make a code run with its configuration, script and code; lists are made anew for each run."""
    config = _text_object(registry, session, run, run.config, "working configuration", "yaml")
    script = _text_object(registry, session, run, run.script, "submission script", run.script_type)
    for key, value in sorted(run.facts.items()):
        session.add(KeyValue(object_id=cast("int", config.id), key=key, value=value))
    recorded = CodeRun(
        run_date=run.at,
        description=run.description,
        uuid=run.uuid,
        code_repo_id=_repository_object(session, run),
        model_config_id=config.id,
        submission_script_id=cast("int", script.id),
    )
    session.add(recorded)
    session.flush()
    number = cast("int", recorded.id)
    for item in dict.fromkeys(run.inputs):
        session.add(CodeRunInput(code_run_id=number, object_component_id=cast("int", whole_of(session, item).id)))
    for item in dict.fromkeys(run.outputs):
        session.add(CodeRunOutput(code_run_id=number, object_component_id=cast("int", whole_of(session, item).id)))
    session.flush()
    return number


def _text_object(  # noqa: PLR0913, PLR0917 - what to keep, and as what
    registry: Registry, session: Session, run: Run, text: str, description: str, file_type: str
) -> Object:
    kept = registry.files.add_bytes(text.encode())
    return record_file(
        registry, session, kept.sha1, description=description, file_type=file_type, public=run.public,
        authors=[run.author],
    )  # fmt: skip


def _repository_object(session: Session, run: Run) -> int | None:
    if not (run.repository and run.commit):
        return None
    address = urlsplit(run.repository)
    if address.scheme in ("http", "https"):
        root, path = f"{address.scheme}://{address.hostname}/", address.path.lstrip("/")
    elif match := re.fullmatch(r"(?:[^@/]+@)?([\w.-]+):(.+)", run.repository):  # git@host:path
        root, path = f"ssh://{match[1]}/", match[2]
    else:
        return None  # a path on this machine tells nobody else anything
    location = record_place(session, root, path.removesuffix(".git"), run.commit)
    return record_object(session, location=location, description="code repository").id


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
        job_id: Of the query job or the report job; recording it again changes nothing.
        databases: Name and fingerprint of each database.
        commands: What was run, as argument lists.
        options: The options as given.
        reports: The files that came of it.
    """

    job_id: str
    at: datetime
    user: str
    program: str
    program_version: str
    query: File
    databases: Mapping[str, str]
    options: Mapping[str, Any]
    commands: Sequence[Sequence[str]]
    reports: Sequence[File]
    public: bool = True


def record_blast_job(registry: Registry, job: BlastJob) -> str:
    """Record a BLAST job as a code run of the local registry; return the run's UUID.

    Databases are recorded as data products without a file, whose version is in
    their fingerprint; the query and the reports with theirs.

    Raises:
        ConflictError: a file of that name and version exists with another content.
    """
    run_id = str(UUID(job.job_id))
    with registry.transaction(), registry.session() as session:
        if registry.find("code_run", [{"uuid": run_id}])[0] is not None:
            return run_id
        author = author_id(session, job.user or "guest")
        inputs = [
            record_product(
                registry, job.query.name, job.query.path, file_type=job.query.file_type,
                description=job.query.description or "query sequences", public=job.public, authors=[author],
            ).object_id
        ]  # fmt: skip
        inputs += [_record_database(session, name, mark) for name, mark in sorted(job.databases.items())]
        made = [
            record_product(
                registry, one.name, one.path, file_type=one.file_type, description=one.description,
                public=job.public, authors=[author],
            ).object_id
            for one in job.reports
        ]  # fmt: skip
        run = Run(
            uuid=run_id,
            at=job.at,
            description=f"{job.program} {job.program_version}, job {job.job_id}",
            config=yaml.safe_dump(
                {
                    "program": job.program,
                    "program_version": job.program_version,
                    "databases": dict(job.databases),
                    "options": dict(job.options),
                }
            ),
            script="".join(shlex.join(command) + "\n" for command in job.commands),
            script_type="sh",
            repository="",
            commit="",
            public=job.public,
            author=author,
            inputs=inputs,
            outputs=made,
            facts={"program": job.program, "program_version": job.program_version, "job_id": job.job_id},
        )
        record_run(registry, session, run)
    return run_id


def _record_database(session: Session, target: str, fingerprint: str) -> int:
    """Record a BLAST database, which stays where it is, by name and fingerprint; return its object."""
    namespace, _, rest = target.partition("/")
    name = ProductName(namespace, f"databases/{rest or namespace}", f"0.0.0+{fingerprint}")
    before = find_product(session, name)
    if before is not None:
        return before.object_id
    item = record_object(session, location=None, description=f"BLAST database {target}")
    session.add(KeyValue(object_id=cast("int", item.id), key="fingerprint", value=fingerprint))
    session.add(
        DataProduct(
            name=name.name,
            version=name.version,
            namespace_id=namespace_id(session, name.namespace),
            object_id=cast("int", item.id),
        )
    )
    session.flush()
    return cast("int", item.id)
