"""The result storage in step with the job database: what nothing refers to goes, what is referred to must be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, cast

from sqlalchemy import ColumnElement, delete, exists, func, not_, or_
from sqlmodel import Session, col, select

from multiblast.database import (
    ChildJob,
    Database,
    DatabaseState,
    Discarded,
    JobStatus,
    Pack,
    PluginJob,
    QueryJob,
    ReportJob,
    Result,
    Run,
    SequenceList,
    StoreIdentity,
    among,
    database_now,
    in_portions,
)
from multiblast.errors import ConflictError, DamagedResultError, ObjectMissingError
from multiblast.gateway import SweptGateway
from multiblast.jobs import ACTIVE, OPEN
from multiblast.object_kinds import ObjectKind, object_name, subject_names_key
from multiblast.plugins.kept_outputs import belongs_to, object_of
from multiblast.results import Results
from multiblast.results.compaction import Compacted
from multiblast.results.packs import PackReader
from multiblast.stores import Store
from multiblast.upkeep.expiry import Expired, keep_out_submissions

_READ_ON_FOR = timedelta(hours=1)  # so long a reader may go on reading what was discarded
_ROWS_AT_A_TIME = 2000
_MANY = 1000  # results of a pack, so that it is read once from its beginning to its end
_UNKNOWN_FOR = timedelta(days=1)  # so long an object may wait for the row that refers to it
_CLOCKS_DIFFER_BY = timedelta(minutes=1)  # those of the database and of the store; more would take what was there
_AS_LONG_AS_RESULTS = {ObjectKind.COMPARISON, ObjectKind.DIFFERENCE}  # no row refers to them


@dataclass(slots=True)
class Swept:
    """How much was removed."""

    discarded: int = 0  # objects noted as such
    unknown: int = 0  # objects that nothing referred to
    pieces: int = 0  # what killed writers had left behind


@dataclass(slots=True)
class Missing:
    """What is referred to and is not there, by store keys: packs, queries, files of reports, outputs of plugins."""

    packs: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)  # results, by their keys, whose bytes are others in their packs
    queries: list[str] = field(default_factory=list)
    report_files: list[str] = field(default_factory=list)
    plugin_outputs: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)  # complete query jobs without: a restart brings it back
    forgotten: int = 0  # results that are damaged, or whose packs are missing

    @property
    def is_nothing(self) -> bool:
        """Whether all is there."""
        return not (
            self.packs or self.damaged or self.queries or self.report_files or self.plugin_outputs or self.results
        )


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What went, or after a dry run would go; what a dry run does not do is None."""

    expired: Expired
    compacted: Compacted | None = None
    swept: Swept | None = None
    gateway: SweptGateway | None = None


class StorageUpkeep:
    """Sweeps and verifies the result storage.

    Comparisons, and what they are made of, are kept ``keep_days`` days, and states of databases so long after they
    were last seen.
    """

    def __init__(self, database: Database, store: Store, keep_days: int) -> None:
        self._database = database
        self._store = store
        self._keep = timedelta(days=keep_days)

    def sweep(self, now: datetime | None = None) -> Swept:
        """Remove what was discarded an hour ago, and what was written a day ago and nothing refers to.

        What is older than the database's use of the store is left alone unless it was discarded.
        """
        with self._database.read() as session:
            now = now or database_now(session)
        begun = self._begun()
        swept = Swept(discarded=self._remove_discarded(now - _READ_ON_FOR))
        with self._database.write() as session:
            session.exec(delete(DatabaseState).where(col(DatabaseState.seen_at) <= now - self._keep))
        for kind in KEPT_BY:
            patience = self._keep if kind in _AS_LONG_AS_RESULTS else _UNKNOWN_FOR
            since = datetime.min.replace(tzinfo=UTC) if KEPT_BY[kind] is _nothing else begun
            swept.unknown += self._remove_unknown(kind, since, now - patience, now - self._keep)
        self._forget_leftovers(now - _UNKNOWN_FOR)
        swept.pieces = self._store.sweep()
        return swept

    def _forget_leftovers(self, before: datetime) -> None:
        """Remove lists of children that no job has, a slice at a time, and packs without results."""
        with self._database.read() as session:
            has_job = exists().where(col(QueryJob.list_number) == SequenceList.number)
            old = select(SequenceList.number).where(col(SequenceList.created_at) <= before, not_(has_job))
            lists = session.exec(old).all()
        for number in lists:
            mine = col(ChildJob.list_number) == number
            left = True
            while left:
                with self._database.write() as session:
                    first = session.exec(select(func.min(ChildJob.position)).where(mine)).one()
                    left = first is not None
                    if left:
                        session.exec(delete(ChildJob).where(mine, col(ChildJob.position) < first + _ROWS_AT_A_TIME))
                    else:
                        session.exec(delete(SequenceList).where(col(SequenceList.number) == number))
        with self._database.write() as session:
            session.exec(delete(Pack).where(col(Pack.created_at) <= before, not_(_is_needed())))

    def verify(self, *, repair: bool = False, even_most: bool = False, contents: bool = False) -> Missing:
        """Return what is referred to and is not there.

        With ``contents`` all results are read, too, to find those that are damaged. With ``repair``, these and results
        whose packs are missing are forgotten, so that they are searched again when they are wanted. Nothing else is
        changed.

        Raises:
            ConflictError: most packs are missing, so `repair` is refused unless ``even_most`` may be forgotten: another
                storage is more likely than a loss.
        """
        missing = Missing()
        with self._database.read() as session:
            packs = session.exec(select(Pack.key).where(_is_needed()).order_by(Pack.key)).all()
            missing.packs = self._absent(packs)
            missing.queries = self._absent(session.exec(select(QueryJob.query_key).distinct()))
            files = session.exec(select(ReportJob.files).where(ReportJob.status == JobStatus.COMPLETE))
            missing.report_files = self._absent(file["key"] for listed in files for file in listed)
            outputs = session.exec(select(PluginJob.outputs).where(PluginJob.status == JobStatus.COMPLETE))
            missing.plugin_outputs = self._absent(object_of(output) for listed in outputs for output in listed)
        if repair and missing.packs:
            if 2 * len(missing.packs) > len(packs) and not even_most:
                raise ConflictError(
                    f"{len(missing.packs):,} of {len(packs):,} packs are missing from {self._store!r}, which looks "
                    "like another storage rather than a loss: check which place the block BLAST result storage names; "
                    "if they are lost for good: multiblast verify --repair --even-most; nothing was changed"
                )
            missing.forgotten = self._forget(missing.packs)
        if contents:
            for pack in sorted({*packs} - {*missing.packs}):
                damaged = self._damaged(pack)
                missing.damaged += damaged
                missing.forgotten += self._forget_damaged(pack, damaged) if repair and damaged else 0
        missing.results = self._without_results()
        return missing

    def _absent(self, keys: Iterable[str]) -> list[str]:
        return [key for key in keys if not self._store.exists(key)]

    def _damaged(self, pack: str) -> list[str]:
        """Return the results in a pack that cannot be read as they were written."""
        found: list[str] = []
        with PackReader(self._store, {pack: _MANY}) as reader:
            for row in Results(self._database, self._store).within(pack):
                try:
                    reader.archive(pack, row.entry)
                except ObjectMissingError:  # just moved to another pack, and removed
                    break
                except DamagedResultError:
                    found.append(row.key)
        return found

    def _forget_damaged(self, pack: str, keys: Sequence[str]) -> int:
        with self._database.write() as session:
            here = col(Result.pack_number).in_(select(Pack.number).where(Pack.key == pack))
            lost = delete(Result).where(among(session, col(Result.key), keys), here)
            return session.connection().execute(lost).rowcount

    def _forget(self, packs: Sequence[str]) -> int:
        with self._database.write() as session:
            # By what the rows say now: compaction may have moved a result to another pack meanwhile.
            numbers = [
                number or 0 for number in session.exec(select(Pack.number).where(among(session, col(Pack.key), packs)))
            ]
            lost = delete(Result).where(among(session, col(Result.pack_number), numbers))
            forgotten = session.connection().execute(lost).rowcount
            session.exec(delete(Pack).where(among(session, col(Pack.number), numbers)))
            return forgotten

    def _without_results(self) -> list[str]:
        complete = QueryJob.status == JobStatus.COMPLETE
        alone = (
            select(QueryJob.id)
            .outerjoin(Result, col(Result.key) == QueryJob.result_key)
            .where(complete, QueryJob.sequences == 1, col(Result.key).is_(None))
        )
        parents = (
            select(QueryJob.id)
            .join(ChildJob, col(ChildJob.list_number) == QueryJob.list_number)
            .outerjoin(Result, col(Result.key) == ChildJob.result_key)
            .where(complete, col(Result.key).is_(None))
            .distinct()
        )
        with self._database.read() as session:
            return sorted({*session.exec(alone), *session.exec(parents)})

    def _remove_discarded(self, before: datetime) -> int:
        removed = 0
        with self._database.read() as session:
            keys = session.exec(select(Discarded.key).where(col(Discarded.since) <= before)).all()
        for some in in_portions(keys):
            with self._database.write() as session:
                again = {
                    key for kept in (_packs, _report_files, _plugin_outputs) for key in kept(session, some, before)
                }
                gone = [key for key in some if key not in again]
                self._store.delete(gone)
                session.exec(delete(Discarded).where(among(session, col(Discarded.key), some)))
            removed += len(gone)
        return removed

    def _begun(self) -> datetime:
        """Return when the database began to use the store, or its oldest job was recorded, which never goes.

        What is older, and unknown to it, may be in records that were lost, or are to be copied to it: it stays.
        """
        with self._database.read() as session:
            since = session.exec(select(StoreIdentity.since)).first()
            oldest = session.exec(select(func.min(QueryJob.created_at))).one()
            return min(filter(None, (since, oldest)), default=database_now(session)) - _CLOCKS_DIFFER_BY

    def _remove_unknown(self, kind: ObjectKind, since: datetime, before: datetime, cutoff: datetime) -> int:
        removed = 0
        old = (item.key for item in self._store.list(f"{kind}/") if since <= item.modified <= before)
        for some in in_portions(old):
            with self._database.read() as session:
                unknown = _unknown(session, kind, some, cutoff)
            if unknown:
                with self._database.write() as session:
                    keep_out_submissions(session)  # which look again, once they are recorded, for what they found here
                    unknown = _unknown(session, kind, unknown, cutoff)
                    self._store.delete(unknown)
            removed += len(unknown)
        return removed


def _unknown(session: Session, kind: ObjectKind, keys: Sequence[str], cutoff: datetime) -> list[str]:
    """Return those objects of a kind that nothing refers to, nor will be removed since they were discarded."""
    discarded = session.exec(select(Discarded.key).where(among(session, col(Discarded.key), keys)))
    kept = {*KEPT_BY[kind](session, keys, cutoff), *discarded}
    return [key for key in keys if key not in kept]


_Keeper: TypeAlias = Callable[[Session, Sequence[str], datetime], set[str]]


def _names(keys: Iterable[str]) -> set[str]:
    return {object_name(key) for key in keys}


def _named_by(column: Any) -> _Keeper:
    """Return what finds the keys of objects whose names a column has."""

    def kept(session: Session, keys: Sequence[str], _cutoff: datetime) -> set[str]:
        there = set(session.exec(select(column).where(among(session, column, _names(keys)))))
        return {key for key in keys if object_name(key) in there}

    return kept


def _packs(session: Session, keys: Sequence[str], _cutoff: datetime) -> set[str]:
    return set(session.exec(select(Pack.key).where(among(session, col(Pack.key), keys), _is_needed())))


def _is_needed() -> ColumnElement[bool]:
    """Return the condition that a pack has a result."""
    return exists().where(col(Result.pack_number) == Pack.number)


def _report_files(session: Session, keys: Sequence[str], _cutoff: datetime) -> set[str]:
    """Return those keys that a report has, or may be about to have because it is being made."""
    of_report: dict[str, list[str]] = {}
    for key in keys:
        if key.startswith(f"{ObjectKind.REPORT_FILE}/"):
            of_report.setdefault(object_name(key), []).append(key)
    kept: set[str] = set()
    for report in session.exec(select(ReportJob).where(among(session, col(ReportJob.id), of_report))):
        if report.status in ACTIVE:
            kept.update(of_report[report.id])
        kept.update(file["key"] for file in report.files)
    return kept


def _plugin_outputs(session: Session, keys: Sequence[str], _cutoff: datetime) -> set[str]:
    """Return those keys that a plugin job has, or whatever lies below an active one's."""
    of_job: dict[str, list[str]] = {}
    for key in keys:
        if key.startswith(f"{ObjectKind.PLUGIN_OUTPUT}/"):
            of_job.setdefault(object_name(key), []).append(key)
    kept: set[str] = set()
    for job in session.exec(select(PluginJob).where(among(session, col(PluginJob.id), of_job))):
        if job.status in OPEN:
            kept.update(of_job[job.id])
        kept.update(key for key in of_job[job.id] if any(belongs_to(key, output) for output in job.outputs))
    return kept


def _plugin_inputs(session: Session, keys: Sequence[str], _cutoff: datetime) -> set[str]:
    """Return those keys that plugin jobs take in which have not expired."""
    rows = session.exec(select(PluginJob.inputs).where(col(PluginJob.status) != JobStatus.EXPIRED))
    return set(keys) & {str(one["url"]).removeprefix("store:") for row in rows for one in row}


def _subject_names(session: Session, keys: Sequence[str], cutoff: datetime) -> set[str]:
    """Return those keys of names of databases that results may be compared by.

    Results of a search stay while a job has them, and for a time after that, also those of older databases.
    """
    alive = select(QueryJob.id).where(
        col(QueryJob.status) != JobStatus.EXPIRED,
        or_(col(QueryJob.search_key) == Run.search_key, (col(Run.search_key) == "") & (col(QueryJob.id) == Run.job_id)),
    )
    recent = (col(Run.started_at) >= cutoff) | (col(Run.finished_at) >= cutoff)
    runs = session.exec(select(Run.databases).where(recent | alive.exists()))
    return set(keys) & {subject_names_key(database["fingerprint"] for database in databases) for databases in runs}


def _nothing(_session: Session, _keys: Sequence[str], _cutoff: datetime) -> set[str]:
    """Return nothing: these objects were made on request, and can be made again."""
    return set()


KEPT_BY: Mapping[ObjectKind, _Keeper] = {
    ObjectKind.PACK: _packs,
    ObjectKind.QUERY: _named_by(col(QueryJob.id)),
    ObjectKind.REPORT_FILE: _report_files,
    ObjectKind.OUTPUT: _named_by(col(Result.key)),  # files beside a result
    ObjectKind.PROFILE: _named_by(cast("Any", QueryJob.recipe)["options"]["in_pssm"].as_string()),
    ObjectKind.SUBJECT_NAMES: _subject_names,
    ObjectKind.DIGESTS: _named_by(col(DatabaseState.fingerprint)),
    ObjectKind.DIFFERENCE: _nothing,
    ObjectKind.COMPARISON: _nothing,
    ObjectKind.EXPORT: _nothing,
    ObjectKind.ORDER: _nothing,
    ObjectKind.PLUGIN_OUTPUT: _plugin_outputs,
    ObjectKind.PLUGIN_INPUT: _plugin_inputs,
    ObjectKind.PROBE: _nothing,
}
"""Of each kind of objects, what returns those that something still needs; all others are swept."""
