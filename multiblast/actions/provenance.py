"""The provenance of jobs: what the job database knows of a search or a report, as a code run in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from sqlmodel import col, select

from multiblast.accounts import GUEST
from multiblast.accounts.job_rights import first_owner
from multiblast.database import BatchRun, Database, JobKind, JobStatus, PluginJob, QueryJob, ReportJob, Run
from multiblast.errors import ConflictError, NotFoundError
from multiblast.files import save
from multiblast.ids import digest
from multiblast.jobs import Jobs
from multiblast.registry.config.searches import SearchRecord
from multiblast.registry.local.files import file_checksums
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName
from multiblast.registry.runs.blast_jobs import BlastJob, JobFile, record_blast_job
from multiblast.registry.runs.plugin_jobs import NAMESPACE, PluginJobFacts, record_plugin_job
from multiblast.reports import files_of
from multiblast.results.results import results_digest
from multiblast.search import options_of
from multiblast.stores import Store


class Provenance:
    """Records jobs in a registry."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._jobs = Jobs(database)

    def record(self, registry: Registry, job_id: str) -> str:
        """Record a complete job as a code run, and before it the jobs whose outcome it takes in; return its UUID.

        A job that was recorded is recorded again only once it was searched with
        other databases, or another version of its program.

        Raises:
            NotFoundError: there is no such job, or it never ran.
            ConflictError: it is not complete.
            StoreError: a file cannot be kept.
        """
        if (kind := self._jobs.kind(job_id)) is JobKind.PLUGIN:
            return self._record_plugin(registry, job_id)
        is_report = kind is JobKind.REPORT
        report = self._jobs.report(job_id) if is_report else None
        query = self._jobs.query(report.query_job_id if report else job_id)
        if (report or query).status != JobStatus.COMPLETE:
            raise ConflictError(f"job {job_id} is {(report or query).status}: it can be recorded once it is complete")
        with TemporaryDirectory(prefix="multiblast-") as name:
            return record_blast_job(registry, self._facts(query, report, Path(name)))

    def searched(self, job_id: str) -> SearchRecord:
        """Return with what a query job was searched, the last time it ran.

        Raises:
            NotFoundError: there is no such job, or it never ran.
        """
        job = self._jobs.query(job_id)
        run = self._run(job_id)
        with self._database.read() as session:
            ran = select(BatchRun.command, BatchRun.part).where(
                BatchRun.job_id == job.id, BatchRun.started_at >= run.started_at, BatchRun.failure_class == ""
            )
            done = session.exec(ran.order_by(col(BatchRun.number))).all()
            found = results_digest(session, job)
        return SearchRecord(
            job_id=job.id,
            program=job.program,
            program_version=run.program_version,
            databases={f"{job.site}/{one['target']}/{one['database']}": one["fingerprint"] for one in run.databases},
            options=options_of(job).changed(),
            commands=[command for command, _ in done] or [run.command],  # if all was known, what would have found it
            parts=[part for _, part in done if part],
            results_digest=found,
        )

    def _facts(self, query: QueryJob, report: ReportJob | None, directory: Path) -> BlastJob:
        searched, search_key = self.searched(query.id), self._run(query.id).search_key
        owner = first_owner(self._database, (report or query).id)
        path = directory / "query.fasta"
        save(self._store.open(query.query_key, query.query_offset, query.query_bytes), path)
        name = ProductName(query.site, f"queries/{file_checksums(path).sha1}", "1.0.0")
        return BlastJob(
            run_id=digest("code-run/1", [report.id, report.results_digest] if report else [query.id, search_key]),
            at=self._began(report) if report else self._run(query.id).started_at,
            site=query.site,
            user="" if owner.startswith(GUEST) else owner,  # nobody knows a guest by name
            searched=searched,
            query=JobFile(name, path, "fasta", "query sequences"),
            report_id=report.id if report else "",
            report_command=report.command if report else (),
            reports=self._files(query, report, directory) if report else (),
        )

    def _began(self, job: ReportJob | PluginJob) -> datetime:
        """Return when a job was begun the last time; what is made at once is not in progress before."""
        begun = [one.at for one in self._jobs.history(job.id) if one.to_status == JobStatus.IN_PROGRESS]
        return begun[-1] if begun else job.finished_at or job.created_at

    def _files(self, query: QueryJob, report: ReportJob, directory: Path) -> list[JobFile]:
        """Copy the files of a report; the archive of all of them adds nothing."""
        found = []
        for file in files_of(report):
            path = directory / file.name
            if path.suffix != ".zip":
                save(self._store.open(file.key), path)
                name = ProductName(query.site, f"reports/{report.id}/{file.name}", f"0.0.0+{report.results_digest}")
                found.append(JobFile(name, path, path.suffix.removeprefix("."), f"report of query job {query.id}"))
        return found

    def _record_plugin(self, registry: Registry, job_id: str) -> str:
        job = self._jobs.plugin(job_id)
        if job.status != JobStatus.COMPLETE:
            raise ConflictError(f"job {job_id} is {job.status}: it can be recorded once it is complete")
        owner = first_owner(self._database, job_id)
        sources = dict.fromkeys(row["job"] for row in job.inputs if row["job"])
        made_of = [name for source in sources for name in self._record_source(registry, source)]
        with TemporaryDirectory(prefix="multiblast-") as name:
            directory = Path(name)
            return record_plugin_job(
                registry,
                PluginJobFacts(
                    job_id=job_id,
                    plugin=f"{job.plugin}@{job.version}",
                    at=self._began(job),
                    user="" if owner.startswith(GUEST) else owner,
                    command=job.command,
                    recipe=_shown(job),
                    made_of=made_of,
                    inputs=[
                        self._copied(row["url"].removeprefix("store:"), directory / f"in-{at}", _input_name(row), row)
                        for at, row in enumerate(job.inputs)
                        if not row["job"] and not row["directory"]
                    ],
                    outputs=[
                        self._copied(row["key"], directory / f"out-{at}", _output_name(job_id, row), row)
                        for at, row in enumerate(job.outputs)
                        if not row["directory"]
                    ],
                    facts={name: str(job.facts[name]) for name in ("files", "tool", "environment") if job.facts[name]},
                    repository=job.facts.get("repository", ""),
                    commit=job.facts.get("commit", ""),
                ),
            )

    def _record_source(self, registry: Registry, job_id: str) -> list[ProductName]:
        """Record a job whose outcome a plugin took in; return what that is called."""
        kind = self._jobs.kind(job_id)
        try:
            self.record(registry, job_id)
        except (ConflictError, NotFoundError):  # expired since, or never run by itself
            return []
        if kind is JobKind.PLUGIN:
            return [_output_name(job_id, row) for row in self._jobs.plugin(job_id).outputs if not row["directory"]]
        if kind is JobKind.REPORT:
            job_id = self._jobs.report(job_id).query_job_id
        query = self._jobs.query(job_id)
        return [ProductName(query.site, f"results/{job_id}", f"0.0.0+{self.searched(job_id).results_digest}")]

    def _copied(self, key: str, path: Path, name: ProductName, row: Mapping[str, Any]) -> JobFile:
        save(self._store.open(key), path)
        file_type = Path(row["name"]).suffix.removeprefix(".")
        return JobFile(name, path, file_type, f"{row['data']}, {row['content']}")

    def _run(self, job_id: str) -> Run:
        run = self._jobs.last_run(job_id)
        if run is None:
            raise NotFoundError("run of query job", job_id, "name the job that it was searched in, or search it")
        return run


def _shown(job: PluginJob) -> dict[str, Any]:
    """Return what of a plugin job's recipe others may see."""
    private = set(job.facts.get("private", ()))
    parameters = {name: "…" if name in private else value for name, value in job.recipe["parameters"].items()}
    return {"inputs": job.recipe["inputs"], "parameters": parameters}


def _input_name(row: Mapping[str, Any]) -> ProductName:
    return ProductName(NAMESPACE, f"inputs/{row['sha256'][:40]}", "1.0.0")


def _output_name(job_id: str, row: Mapping[str, Any]) -> ProductName:
    name = quote(row["name"], safe="")
    return ProductName(NAMESPACE, f"outputs/{job_id}/{row['port']}/{name}", f"0.0.0+{row['sha256'][:32]}")
