"""A run of a report job: its files are written, unless they were written of the same results before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from multiblast.database import JobStatus, QueryJob, ReportJob, utc_now
from multiblast.errors import ConflictError, InvalidInputError, ObjectMissingError, ProgramError
from multiblast.ids import digest
from multiblast.jobs import ChildColumns
from multiblast.outages import is_outage
from multiblast.programs import throttled
from multiblast.reports.early_parts import EarlyParts
from multiblast.reports.report_options import Formatting
from multiblast.reports.surroundings import surroundings
from multiblast.reports.writer import ReportFile, ReportSource, write_report
from multiblast.search import SearchContext, SearchEngine
from multiblast.search.elsewhere import Elsewhere
from multiblast.targets import database_argument

_USED_EVERY = timedelta(minutes=1)


def is_long_ago(used_at: datetime) -> bool:
    """Whether the use of a report or result is to be noted again, so that reading does not write each time."""
    return utc_now() - used_at > _USED_EVERY


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report as it is; ``reused`` if it had been made before. The command is what prints the same with BLAST+."""

    report_id: str
    query_job_id: str
    status: str
    files: tuple[ReportFile, ...]
    reused: bool = False
    command: tuple[str, ...] = ()


@dataclass
class ReportRun:
    """A run of a recorded report job, from the results as they are now.

    At a site, if any, the formatter runs there. Parts of it may have been made ``early``.
    """

    engine: SearchEngine
    job_id: str
    run_id: str = ""
    at: Elsewhere | None = None
    early: EarlyParts | None = None
    _found: SearchContext | None = field(default=None, init=False)

    def version(self) -> tuple[str, bool]:
        """Return what the report is made of, as a digest; and whether it was made of that and has all its files."""
        report = self.engine.jobs.report(self.job_id)
        query = self.engine.jobs.query(report.query_job_id)
        version = self._version(report, query, self._children(query))
        return version, self._is_made(report, version)

    def execute(self, *, at_once: bool = False) -> MadeReport:
        """Make the report, unless it was made of the same before.

        One that is made ``at_once`` is small: it waits until it is made, and nobody sees it in progress.

        Raises:
            ProgramError: the formatter failed, or the report was cancelled; the job's reason says why.
            ConflictError: the query job is not complete, or a database changed since it was searched.
        """
        report = self.engine.jobs.report(self.job_id)
        query = self.engine.jobs.query(report.query_job_id)
        if query.status != JobStatus.COMPLETE and not report.formatting.get("partial"):
            why = f"its query job is {query.status}: restart that first"
            if report.status == JobStatus.QUEUED:
                self._move(JobStatus.FAILED, why)
            raise ConflictError(f"report job {report.id} cannot be made, {why}")
        children = self._children(query)
        version = self._version(report, query, children)
        if is_long_ago(report.used_at) or is_long_ago(query.used_at):
            self.engine.jobs.touch([report.id, query.id])
        if self._is_made(report, version):
            return MadeReport(report.id, query.id, report.status, files_of(report), True, tuple(report.command))
        if report.status != JobStatus.QUEUED:
            self._move(JobStatus.QUEUED, "its results, the place of a database, or names of taxa are others now")
        started = utc_now()
        if not at_once:
            self._move(JobStatus.IN_PROGRESS)
        files, command = self._write(report, query, children, version)
        self._move(
            JobStatus.COMPLETE,
            started_at=started,
            results_digest=version,
            files=[{"name": file.name, "size": file.size, "key": file.key} for file in files],
            command=list(command),
        )
        return MadeReport(report.id, query.id, JobStatus.COMPLETE, tuple(files), False, command)

    def _write(
        self, report: ReportJob, query: QueryJob, children: ChildColumns, version: str
    ) -> tuple[list[ReportFile], tuple[str, ...]]:
        """Write the files, and return them with the command that prints them; an error ends the job, too."""
        engine = self.engine
        cancelled = throttled(lambda: self._dropped() or engine.jobs.report(report.id).status == JobStatus.CANCELLED)
        try:
            context = self._context(query)
            source = ReportSource(engine, query, children, context, cancelled, report.id, self.at, early=self.early)
            with _losses_explained():
                made = write_report(source, report, version)
            engine.resolver.check_unchanged(context)
        except BaseException as error:
            # The job stays in progress, as where a signal stops its run, and reconciling lets it be made again.
            if is_outage(error) or self._dropped() or not isinstance(error, Exception | KeyboardInterrupt):
                raise
            stderr = error.stderr if isinstance(error, ProgramError) else ""
            if isinstance(error, KeyboardInterrupt):
                self._move(JobStatus.CANCELLED, "its run was cancelled")
            else:
                self._move(JobStatus.FAILED, str(error), stderr=stderr)
            raise
        return made

    def _dropped(self) -> bool:
        return self.early is not None and self.early.dropped

    def _move(self, status: JobStatus, why: str = "", **facts: object) -> None:
        self.engine.jobs.move_report(self.job_id, status, why, run_id=self.run_id, **facts)

    def _children(self, query: QueryJob) -> ChildColumns:
        """Return the sequences of the query job that have a result, in order."""
        return ChildColumns(self.engine.jobs.children(query))

    def _context(self, query: QueryJob) -> SearchContext:
        """Return what the query job was searched with, which must be what there is now."""
        if self._found is None:
            self._found = self.engine.resolver.context(query)
        return self._found

    def _version(self, report: ReportJob, query: QueryJob, children: ChildColumns) -> str:
        """Return a digest of results in one half, and in the other of all else that decides the report's bytes.

        Where the databases are not as they were searched, no other report can be made of these results than there is.
        """
        results = digest("results/1", children.result_keys)
        half = len(results) // 2
        try:
            context = self._context(query)
            databases = database_argument(context.databases)
        except (ConflictError, InvalidInputError, ProgramError):
            return results[:half] + (report.results_digest or results)[half:]
        # Those of version 2 can show other numbers of subjects in pairwise text than were to be searched for, and lack
        # what psiblast says where its first round was the last; those of 3 can have wrong places and coverage in
        # parts of queries, and other numbers of positive residues than the programs that search domains;
        # those of several rounds of deltablast lacked most of their numbers in JSON and XML. In those of 4, `qcovus`
        # of parts of queries can be another. In those of 5, messages call queries with ids by wrong ones. In those of
        # 6, alignments of SAM can stand in another order, and domains of several volumes have messages.
        changed = context.options.changed()
        several = not changed.keys().isdisjoint({"max_target_seqs", "num_iterations"})
        program = context.options.program
        of_domains = program in {"rpsblast", "rpstblastn"} or (program == "deltablast" and "num_iterations" in changed)
        is_part = "query_loc" in changed
        version = "report/5" if is_part else "report/4" if of_domains else "report/3" if several else "report/2"
        if context.options.reads_titles:
            version = "report/6"
        volumes = sum(len(database.volumes) for database in context.databases)
        if Formatting.recorded(report.formatting).row.prepare or (of_domains and volumes > 1):
            version = "report/7"
        if context.plugin is not None:
            version = f"rows/1/{context.plugin.identifier}"
        return results[:half] + digest(version, [databases, surroundings()])[half:]

    def _is_made(self, report: ReportJob, version: str) -> bool:
        is_of_these = report.status == JobStatus.COMPLETE and report.results_digest == version
        return is_of_these and all(self.engine.store.exists(file.key) for file in files_of(report))


def files_of(report: ReportJob) -> tuple[ReportFile, ...]:
    """Return the files of a report job, the one to open first before others; none before it is complete."""
    return tuple(ReportFile(file["name"], file["size"], file["key"]) for file in report.files)


@contextmanager
def _losses_explained() -> Iterator[None]:
    """Let the error that something is gone which is recorded say what finds all that is."""
    try:
        yield
    except ObjectMissingError as error:
        raise ObjectMissingError(error.key, "multiblast verify lists what was lost") from error
