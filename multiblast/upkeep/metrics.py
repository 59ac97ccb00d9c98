"""Metrics in Prometheus' text format, counted in the job database, so that several workers add up.

The names are those of the Multi-Blast design; its queues are here the kinds of
jobs. Sequences of larger jobs are not counted apart from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import ColumnElement, SQLColumnExpression, case, extract, func, literal, not_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from multiblast.database import (
    BatchRun,
    Database,
    JobEvent,
    JobKind,
    JobStatus,
    QueryJob,
    RefusedWay,
    ReportJob,
    is_postgresql,
    job_table,
)
from multiblast.jobs import is_child

_QUEUE_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_COMMAND_BUCKETS_MS = (100, 500, 1000, 5000, 15_000, 60_000, 300_000, 900_000, 3_600_000)
_DAY_S = 86_400


def metrics(database: Database) -> str:
    """Return all metrics of the job database."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_JobMetrics(database))
    return text_of(registry)


def text_of(registry: CollectorRegistry) -> str:
    """Return a registry's metrics as text, counters under the names they were given, without ``_total`` behind them."""
    text = generate_latest(registry).decode()
    counters = re.findall(r"^# TYPE (\S+)_total counter$", text, re.MULTILINE)
    return re.sub(rf"\b({'|'.join(map(re.escape, counters))})_total\b", r"\1", text) if counters else text


class _JobMetrics:
    """Counts jobs when asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, of one moment."""
        failures = CounterMetricFamily("job_failures", "Jobs that failed.", labels=["queue"])
        successes = CounterMetricFamily("job_successes", "Jobs that were completed.", labels=["queue"])
        waiting = GaugeMetricFamily("queued_jobs", "Jobs that wait.", labels=["queue"])
        times = HistogramMetricFamily("queue_time", "Seconds that jobs waited.", labels=["queue"])
        commands = HistogramMetricFamily(
            "blast_command_time_millis", "Run time of BLAST+ programs in milliseconds.", labels=["blast_tool"]
        )
        refused = GaugeMetricFamily("refused_ways", "Ways of searching what is new that gave other results.")
        with self._database.read() as session:
            for kind in JobKind:
                failures.add_metric([kind], _ended(session, kind, JobStatus.FAILED))
                successes.add_metric([kind], _ended(session, kind, JobStatus.COMPLETE))
                waiting.add_metric([kind], _queued(session, kind))
                _add(times, kind, _queue_times(session, kind), _QUEUE_BUCKETS_S)
            for tool, row in _command_times(session):
                _add(commands, tool, row, _COMMAND_BUCKETS_MS)
            refused.add_metric([], session.connection().execute(select(func.count(col(RefusedWay.way)))).scalar_one())
        yield from (failures, successes, waiting, times, commands, refused)


def _submitted(kind: JobKind) -> ColumnElement[bool]:
    """Return the condition that somebody asked for a job, not just for a larger one it is a part of."""
    if kind is not JobKind.QUERY:
        return literal(value=True)
    return not_(is_child()) | (col(QueryJob.attempts) > 0)


def _ended(session: Session, kind: JobKind, status: JobStatus) -> int:
    table = job_table(kind)
    statement = select(func.count()).select_from(JobEvent).join(table, col(table.id) == JobEvent.job_id)
    ended = statement.where(col(JobEvent.to_status) == status, _submitted(kind))
    return session.connection().execute(ended).scalar_one()


def _queued(session: Session, kind: JobKind) -> int:
    table = job_table(kind)
    queued = select(func.count()).select_from(table).where(col(table.status) == JobStatus.QUEUED, _submitted(kind))
    return session.connection().execute(queued).scalar_one()


def _queue_times(session: Session, kind: JobKind) -> Any:
    """Return the counts of each bucket, of all, and the sum of the times from queued to in progress."""
    table, before = job_table(kind), aliased(JobEvent)
    last = (
        select(func.max(col(before.number)))
        .where(col(before.job_id) == JobEvent.job_id, col(before.number) < JobEvent.number)
        .scalar_subquery()
    )
    queued = aliased(JobEvent)
    seconds = _seconds(session, col(queued.at), col(JobEvent.at))
    statement = (
        select(*_buckets(seconds, _QUEUE_BUCKETS_S))
        .select_from(JobEvent)
        .join(table, col(table.id) == JobEvent.job_id)
        .join(queued, col(queued.number) == last)
        .where(col(JobEvent.to_status) == JobStatus.IN_PROGRESS, col(queued.to_status) == JobStatus.QUEUED)
        .where(_submitted(kind))
    )
    return session.connection().execute(statement).one()


def _command_times(session: Session) -> Iterator[tuple[str, Any]]:
    milliseconds = col(BatchRun.seconds) * 1000
    statement = (
        select(col(QueryJob.program), *_buckets(milliseconds, _COMMAND_BUCKETS_MS))
        .select_from(BatchRun)
        .join(QueryJob, col(QueryJob.id) == BatchRun.job_id)
        .group_by(col(QueryJob.program))
        .order_by(col(QueryJob.program))
    )
    for program, *row in session.connection().execute(statement):
        yield program, row
    made = _seconds(session, col(ReportJob.started_at), col(ReportJob.finished_at)) * 1000
    reports = select(*_buckets(made, _COMMAND_BUCKETS_MS)).where(col(ReportJob.finished_at).is_not(None))
    yield "blast_formatter", session.connection().execute(reports).one()


def _buckets(value: ColumnElement[Any], bounds: Iterable[float]) -> list[ColumnElement[Any]]:
    cumulative = [func.coalesce(func.sum(case((value <= bound, 1), else_=0)), 0) for bound in bounds]
    return [*cumulative, func.count(), func.coalesce(func.sum(value), 0)]


def _seconds(session: Session, start: SQLColumnExpression[Any], end: SQLColumnExpression[Any]) -> ColumnElement[Any]:
    if is_postgresql(session):
        return extract("epoch", end) - extract("epoch", start)
    return (func.julianday(end) - func.julianday(start)) * _DAY_S


def _add(family: HistogramMetricFamily, label: str, row: Any, bounds: Iterable[float]) -> None:
    *cumulative, count, total = row
    buckets = [(str(float(bound)), float(value)) for bound, value in zip(bounds, cumulative, strict=True)]
    family.add_metric([label], [*buckets, ("+Inf", float(count))], sum_value=float(total))
