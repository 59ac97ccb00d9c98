"""All jobs: writing them, changing them, reading them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, or_, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from multiblast.database import (
    AnyJob,
    ChildJob,
    Failure,
    JobEvent,
    JobKind,
    JobStatus,
    JobT,
    Link,
    Pack,
    PluginJob,
    PluginSource,
    QueryJob,
    ReportJob,
    Result,
    Run,
    among,
    insert_missing,
    job_table,
    utc_now,
)
from multiblast.errors import NotFoundError
from multiblast.jobs.children import (
    adopt,
    child_history,
    child_ids,
    find_child,
)
from multiblast.jobs.ownership import add_link
from multiblast.jobs.recording import NewSequence, first_event, record
from multiblast.jobs.runs import JobRuns
from multiblast.jobs.states import WAITS, move

_ROWS_AT_A_TIME = 1000


class Child(NamedTuple):
    """One sequence of a job, at a 1-based position, as it stands: where its result is, or why it has none."""

    position: int
    job_id: str
    result_key: str
    query_offset: int
    query_bytes: int
    letters: int
    pack: str | None = None
    failure_class: str | None = None
    message: str | None = None


class Jobs(JobRuns):
    """All query, report and plugin jobs."""

    def add(
        self,
        job: QueryJob,
        sequences: Iterable[NewSequence] = (),
        *,
        owner: str = "",
        summary: str = "",
        description: str = "",
    ) -> None:
        """Write a query job, its children and its owner's link: whole, or nothing that can be seen.

        What exists already is left as it is, but for jobs whose database or program changed
        since: they get the new result keys and wait to be run again. A job with one sequence
        is its own child, and needs no ``sequences``; equal ones share a child. They are read once, if at all.
        """
        link = Link(owner=owner, job_id=job.id, summary=summary, description=description)
        record(self._database, job, sequences, link)

    def query(self, job_id: str) -> QueryJob:
        """Return one query job, or a child as one; `NotFoundError` if there is none of this id."""
        with self._database.read() as session:
            if (job := session.get(QueryJob, job_id) or find_child(session, job_id)) is not None:
                return job
        raise _missing(QueryJob, job_id, "submit the query first")

    def adopt(self, job_id: str) -> None:
        """Let a child be a job of its own from now on; nothing happens if it is one, or if there is no such child."""
        with self._database.read() as session:
            if session.get(QueryJob, job_id) is not None:
                return
        with self._database.write() as session:
            adopt(session, job_id)

    def report(self, job_id: str) -> ReportJob:
        """Return one report job; `NotFoundError` if there is none of this id."""
        return self._get(ReportJob, job_id, "make the report first")

    def plugin(self, job_id: str) -> PluginJob:
        """Return one plugin job; `NotFoundError` if there is none of this id."""
        return self._get(PluginJob, job_id, "run the plugin first")

    def status(self, kind: JobKind, job_id: str) -> JobStatus:
        """Return the status of a job of a kind; `NotFoundError` if there is none of this id."""
        with self._database.read() as session:
            table = job_table(kind)
            status = session.exec(select(table.status).where(table.id == job_id)).first()
            if status is None and kind is JobKind.QUERY and (child := find_child(session, job_id)) is not None:
                status = child.status
        if status is None:
            raise NotFoundError(f"{kind} job", job_id, "check the id")
        return JobStatus(status)

    def _get(self, table: type[JobT], job_id: str, remedy: str) -> JobT:
        with self._database.read() as session:
            job = session.get(table, job_id)
        if job is None:
            raise _missing(table, job_id, remedy)
        return job

    def kind(self, job_id: str) -> JobKind:
        """Return what a job makes, by its id alone; `NotFoundError` if there is none of it."""
        with self._database.read() as session:
            for kind in JobKind:
                if session.get(job_table(kind), job_id) is not None:
                    return kind
            if child_ids(session, [job_id]):
                return JobKind.QUERY
        raise NotFoundError("job", job_id, "check the id")

    def outline(self, job_id: str) -> str:
        """Return in a few words what a job does, without anybody's own; `NotFoundError` if there is none of this id."""
        kind = self.kind(job_id)
        if kind is JobKind.PLUGIN:
            return self.plugin(job_id).plugin
        if kind is JobKind.REPORT:
            report = self.report(job_id)
            return f"{report.formatting.get('formatType', '0')} of {report.query_job_id:.8}"
        job = self.query(job_id)
        databases = ", ".join(target["targetFile"] for target in job.recipe["targets"])
        return f"{job.program} · {databases}"

    def last_run(self, job_id: str) -> Run | None:
        """Return the last run of a query job, if it ever ran."""
        with self._database.read() as session:
            return session.exec(select(Run).where(Run.job_id == job_id).order_by(col(Run.number).desc())).first()

    def move_query(self, job_ids: Collection[str], to: JobStatus, why: str = "", *, run_id: str = "") -> int:
        """Change the status of some query jobs: see `states.move`."""
        with self._database.write() as session:
            return move(session, QueryJob, among(session, col(QueryJob.id), job_ids), to, why, run_id=run_id)

    def wait(self, job_id: str, run_id: str) -> bool:
        """Note that a job waits for its turn, and with it a run; return False, and note nothing, if it runs already."""
        mine = col(QueryJob.id) == job_id
        with self._database.write() as session:
            job = session.exec(select(QueryJob).where(mine).with_for_update()).one()
            if job.status == JobStatus.IN_PROGRESS:
                return False
            if not move(session, QueryJob, mine, JobStatus.QUEUED, WAITS, run_id=run_id):
                status = JobStatus.QUEUED
                session.add(JobEvent(job_id=job_id, from_status=status, to_status=status, why=WAITS, flow_run=run_id))
        return True

    def has_waited(self, job_id: str, run_id: str) -> bool:
        """Return whether a run has waited for the turn of a job."""
        return any((event.why, event.flow_run) == (WAITS, run_id) for event in self.history(job_id))

    def move_report(self, job_id: str, to: JobStatus, why: str = "", *, run_id: str = "", **values: Any) -> int:
        """Change the status of a report job, and other columns of it, in one transaction."""
        return self._move_one(ReportJob, job_id, to, why, run_id, values)

    def move_plugin(self, job_id: str, to: JobStatus, why: str = "", *, run_id: str = "", **values: Any) -> int:
        """Change the status of a plugin job, and other columns of it, in one transaction."""
        return self._move_one(PluginJob, job_id, to, why, run_id, values)

    def _move_one(  # noqa: PLR0913, PLR0917 - a change of state has this many facts
        self, table: type[AnyJob], job_id: str, to: JobStatus, why: str, run_id: str, values: dict[str, Any]
    ) -> int:
        with self._database.write() as session:
            mine: ColumnElement[bool] = col(table.id) == job_id
            if values:
                session.connection().execute(update(table).where(mine).values(values))
            return move(session, table, mine, to, why, run_id=run_id)

    def change_plugin(
        self, job_id: str, expected: JobStatus, to: JobStatus | None, why: str = "", *, run_id: str = "", **values: Any
    ) -> bool:
        """Change columns and, unless it is None, the status of a plugin job that has a status; return whether it had.

        All in one transaction: of two who change it at once, the second finds another status.
        """
        mine = and_(col(PluginJob.id) == job_id, col(PluginJob.status) == expected)
        with self._database.write() as session:
            if session.exec(select(PluginJob.id).where(mine).with_for_update()).first() is None:
                return False
            session.connection().execute(update(PluginJob).where(mine).values(values))
            if to is not None:
                move(session, PluginJob, mine, to, why, run_id=run_id)
            return True

    def note_plugin(self, job_id: str, **values: Any) -> None:
        """Change columns of a plugin job, such as its progress, but not its status."""
        with self._database.write() as session:
            session.connection().execute(update(PluginJob).where(col(PluginJob.id) == job_id).values(values))

    def children(self, job: QueryJob, position: int | range | None = None) -> Iterator[Child]:
        """Yield a job's sequences in order, or those of one or some positions; one with one is its own child.

        They are read some at a time, so that no transaction is open while something is done with them.
        """
        positions = range(position, position + 1) if isinstance(position, int) else position
        wanted = range(1, job.sequences + 1) if positions is None else positions
        if job.list_number is None:
            if 1 in wanted:
                with self._database.read() as session:
                    child = _own_child(session, job)
                yield child
            return
        last = min(wanted.stop - 1, job.sequences)
        for first in range(wanted.start, last + 1, _ROWS_AT_A_TIME):
            between = col(ChildJob.position).between(first, min(first + _ROWS_AT_A_TIME - 1, last))
            with self._database.read() as session:
                rows = session.connection().execute(_children(job).where(between)).all()
            yield from map(Child._make, rows)

    def children_at(self, job: QueryJob, positions: Collection[int]) -> Iterator[Child]:
        """Yield a job's sequences at some positions, in order; best if these are not far apart."""
        if not positions:
            return
        if job.list_number is None:
            yield from (child for child in self.children(job) if child.position in positions)
            return
        wanted = set(positions)
        between = _children(job).where(col(ChildJob.position).between(min(wanted), max(wanted)))
        with self._database.read() as session:
            rows = session.connection().execute(between.execution_options(yield_per=_ROWS_AT_A_TIME))
            yield from (Child._make(row) for row in rows if row[0] in wanted)

    def unfinished(self, job: QueryJob, lost: Collection[str], most: int) -> list[Child]:
        """Return some of a job's sequences that have no failure and no result, or one in a pack of ``lost``."""
        if job.list_number is None:
            children = self.children(job)
            return [
                child for child in children if not child.failure_class and (child.pack is None or child.pack in lost)
            ]
        with self._database.read() as session:
            left = or_(col(Result.key).is_(None), among(session, col(Pack.key), lost))
            statement = _children(job).where(left, col(Failure.key).is_(None)).limit(most)
            return list(map(Child._make, session.connection().execute(statement)))

    def failed_keys(self, job: QueryJob) -> list[str]:
        """Return the result keys of a job's sequences that could not be searched."""
        if job.list_number is None:
            return [child.result_key for child in self.children(job) if child.failure_class]
        of_job = exists().where(col(ChildJob.result_key) == Failure.key, col(ChildJob.list_number) == job.list_number)
        with self._database.read() as session:  # from the failures, which are few
            return list(session.exec(select(Failure.key).where(of_job)))

    def failed(self, job: QueryJob) -> list[Child]:
        """Return a job's sequences that could not be searched, in order."""
        keys = self.failed_keys(job)
        if job.list_number is None or not keys:
            return list(self.children(job)) if keys else []
        with self._database.read() as session:
            statement = _children(job).where(among(session, col(ChildJob.result_key), keys))
            return list(map(Child._make, session.connection().execute(statement)))

    def history(self, job_id: str) -> list[JobEvent]:
        """Return what happened to a job, oldest first; to a child that is no job of its own, what did to its parent."""
        with self._database.read() as session:
            statement = select(JobEvent).where(JobEvent.job_id == job_id).order_by(col(JobEvent.number))
            return list(session.exec(statement)) or child_history(session, job_id)

    def record_report(self, report: ReportJob, owner: str, *, summary: str = "", description: str = "") -> None:
        """Write a report job unless it exists, and link its owner with what they note about it."""
        if not owner:
            with self._database.read() as session:
                if session.get(ReportJob, report.id) is not None:
                    return
        with self._database.write() as session:
            if session.get(ReportJob, report.id) is None:
                adopt(session, report.query_job_id)
                insert_missing(session, ReportJob, [report.model_dump()])
                insert_missing(session, JobEvent, [first_event(report.id)])
            link = Link(owner=owner, job_id=report.id, kind=JobKind.REPORT, summary=summary, description=description)
            add_link(session, link)

    def record_plugin(
        self, job: PluginJob, sources: Collection[str], owner: str, *, summary: str = "", description: str = ""
    ) -> None:
        """Write a plugin job and whose outcome it takes in, unless it exists, and link its owner with their notes."""
        with self._database.write() as session:
            if session.get(PluginJob, job.id) is None:
                for source in sorted(sources):
                    adopt(session, source)
                insert_missing(session, PluginJob, [job.model_dump()])
                insert_missing(session, PluginSource, [{"job_id": job.id, "source_id": one} for one in sorted(sources)])
                insert_missing(session, JobEvent, [first_event(job.id)])
            link = Link(owner=owner, job_id=job.id, kind=JobKind.PLUGIN, summary=summary, description=description)
            add_link(session, link)

    def made_of(self, job_id: str) -> list[PluginJob]:
        """Return the plugin jobs that take in a job's outcome, oldest first."""
        with self._database.read() as session:
            mine = select(PluginSource.job_id).where(PluginSource.source_id == job_id)
            statement = select(PluginJob).where(col(PluginJob.id).in_(mine)).order_by(col(PluginJob.created_at))
            return list(session.exec(statement))

    def touch(self, job_ids: Collection[str]) -> None:
        """Note that a job's result or report was read; a child that was is kept for that, and so is its own job."""
        with self._database.write() as session:
            for job_id in sorted(child_ids(session, job_ids)):  # in order, so that two never wait for each other
                adopt(session, job_id)
            for table in map(job_table, JobKind):
                read = select(table.id).where(among(session, col(table.id), job_ids)).order_by(col(table.id))
                session.exec(update(table).where(col(table.id).in_(read.with_for_update())).values(used_at=utc_now()))


def _missing(table: type[AnyJob], job_id: str, remedy: str) -> NotFoundError:
    return NotFoundError(str(table.__tablename__).replace("_", " "), job_id, remedy)


def _own_child(session: Session, job: QueryJob) -> Child:
    """Return the sequence of a job that has one."""
    of_result = (
        select(Pack.key).join(Result, col(Result.pack_number) == Pack.number).where(Result.key == job.result_key)
    )
    pack, failure = session.exec(of_result).first(), session.get(Failure, job.result_key)
    own = Child(1, job.id, job.result_key, job.query_offset, job.query_bytes, job.letters, pack)
    return own if failure is None else own._replace(failure_class=failure.failure_class, message=failure.message)


def _children(job: QueryJob) -> Any:
    """Return a statement that selects what a `Child` is made of, of all of a job's sequences, in order."""
    columns = [col(getattr(ChildJob, name)) for name in Child._fields[2:6]]
    of_failure = col(Failure.failure_class), col(Failure.message)
    return (  # columns: rows of 10 000 sequences as objects would take seconds
        sa_select(col(ChildJob.position), col(ChildJob.child_id), *columns, col(Pack.key), *of_failure)
        .where(col(ChildJob.list_number) == job.list_number)
        .outerjoin(Result, col(Result.key) == ChildJob.result_key)
        .outerjoin(Pack, col(Pack.number) == Result.pack_number)
        .outerjoin(Failure, col(Failure.key) == ChildJob.result_key)
        .order_by(col(ChildJob.position))
    )
