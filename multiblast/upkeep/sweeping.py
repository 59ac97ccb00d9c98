"""Sweeping: objects that nothing refers to go; and verifying: what is referred to must be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, cast

from sqlalchemy import delete
from sqlmodel import Session, col, select

from multiblast.database import ChildJob, Database, Discarded, JobStatus, QueryJob, ReportJob, Result, among, utc_now
from multiblast.errors import ConflictError
from multiblast.stores import Store

__all__ = ["Missing", "Sweeping", "Swept"]

_READ_ON_FOR = timedelta(hours=1)  # so long a reader may go on reading what was discarded
_UNKNOWN_FOR = timedelta(days=1)  # so long an object may wait for the row that refers to it
_AT_A_TIME = 1000


@dataclass(slots=True)
class Swept:
    """What was removed.

    Attributes:
        discarded: Objects that had been noted as discarded.
        unknown: Objects that nothing referred to.
        pieces: What writers that were killed had left behind.
    """

    discarded: int = 0
    unknown: int = 0
    pieces: int = 0


@dataclass(slots=True)
class Missing:
    """What is referred to and is not there.

    Attributes:
        packs, queries, report_files: Store keys without an object.
        results: Ids of complete query jobs without a whole result; a restart brings it back.
        forgotten: How many results were forgotten because their pack is not there.
    """

    packs: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    report_files: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    forgotten: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether all is there."""
        return not (self.packs or self.queries or self.report_files or self.results)


class Sweeping:
    """Keeps the store and the job database in step.

    Args:
        database: The job database.
        store: Where objects are kept.
        keep_days: Days that a comparison is kept.
    """

    def __init__(self, database: Database, store: Store, keep_days: int) -> None:
        self._database, self._store, self._keep = database, store, timedelta(days=keep_days)

    def sweep(self, now: datetime | None = None) -> Swept:
        """Remove what was discarded an hour ago, and what was written a day ago and nothing refers to."""
        now = now or utc_now()
        swept = Swept(discarded=self._remove_discarded(now - _READ_ON_FOR))
        for prefix, referred in _REFERRED.items():
            swept.unknown += self._remove_unknown(prefix, referred, now - _UNKNOWN_FOR)
        swept.unknown += self._remove_unknown("exports/", _nothing, now - _UNKNOWN_FOR)
        swept.unknown += self._remove_unknown("comparisons/", _nothing, now - self._keep)
        swept.pieces = self._store.sweep()
        return swept

    def verify(self, *, repair: bool = False) -> Missing:
        """Return what is referred to and is not there.

        Args:
            repair: Whether to forget the results whose pack is not there, so that they are no longer taken for known.
                Nothing else is changed, and without it nothing at all.

        Raises:
            ConflictError: most packs are not there, so the storage is more likely to be the wrong one than damaged.
        """
        missing = Missing()
        with self._database.read() as session:
            packs = session.exec(select(Result.pack).distinct().order_by(Result.pack)).all()
            missing.packs = self._absent(packs)
        if repair and missing.packs:
            missing.forgotten = self._forget(missing.packs, len(packs))
        missing.results = self._without_results()
        with self._database.read() as session:
            missing.queries = self._absent(session.exec(select(QueryJob.query_key).distinct()))
            files = session.exec(select(ReportJob.files).where(ReportJob.status == JobStatus.COMPLETE))
            missing.report_files = self._absent(file["key"] for listed in files for file in listed)
        return missing

    def _forget(self, packs: Sequence[str], of: int) -> int:
        """Forget the results in some packs; return how many these were."""
        if len(packs) > of / 2:
            raise ConflictError(
                f"{len(packs):,} of {of:,} packs are not in the storage, which therefore seems to be another one than "
                "that in which results are kept: nothing was repaired; check the storage's settings"
            )
        with self._database.write() as session:
            lost = delete(Result).where(among(session, col(Result.pack), packs))
            return session.connection().execute(lost).rowcount

    def _absent(self, keys: Iterable[str]) -> list[str]:
        return [key for key in keys if not self._store.exists(key)]

    def _without_results(self) -> list[str]:
        complete = QueryJob.status == JobStatus.COMPLETE
        alone = (
            select(QueryJob.id)
            .outerjoin(Result, col(Result.key) == QueryJob.result_key)
            .where(complete, QueryJob.sequences == 1, col(Result.key).is_(None))
        )
        parents = (
            select(QueryJob.id)
            .join(ChildJob, col(ChildJob.parent_id) == QueryJob.id)
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
        for some in _portions(keys):
            with self._database.write() as session:
                again = {key for referred in (_packs, _report_files) for key in referred(session, some)}
                gone = [key for key in some if key not in again]
                self._store.delete(gone)
                session.exec(delete(Discarded).where(col(Discarded.key).in_(some)))
            removed += len(gone)
        return removed

    def _remove_unknown(
        self, prefix: str, referred: Callable[[Session, Sequence[str]], set[str]], before: datetime
    ) -> int:
        removed = 0
        old = (item.key for item in self._store.list(prefix) if item.modified <= before)
        for some in _portions(old):
            with self._database.read() as session:
                kept = referred(session, some) | set(
                    session.exec(select(Discarded.key).where(col(Discarded.key).in_(some)))
                )
            unknown = [key for key in some if key not in kept]
            self._store.delete(unknown)
            removed += len(unknown)
        return removed


def _packs(session: Session, keys: Sequence[str]) -> set[str]:
    return set(session.exec(select(Result.pack).where(col(Result.pack).in_(keys)).distinct()))


def _queries(session: Session, keys: Sequence[str]) -> set[str]:
    names = {key.rpartition("/")[2].removesuffix(".fasta"): key for key in keys}
    return {names[job_id] for job_id in session.exec(select(QueryJob.id).where(col(QueryJob.id).in_(names)))}


def _report_files(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those keys that a report has, or may be about to have because it is being made."""
    of_report: dict[str, list[str]] = {}
    for key in keys:
        if key.startswith("reports/"):
            of_report.setdefault(key.split("/")[2], []).append(key)
    kept: set[str] = set()
    for report in session.exec(select(ReportJob).where(col(ReportJob.id).in_(of_report))):
        if report.status in {JobStatus.QUEUED, JobStatus.IN_PROGRESS}:
            kept.update(of_report[report.id])
        kept.update(file["key"] for file in report.files)
    return kept


def _outputs(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those keys of files beside a result whose result is there."""
    results = [key.split("/")[2] for key in keys]
    there = set(session.exec(select(Result.key).where(col(Result.key).in_(results))))
    return {key for key, result in zip(keys, results, strict=True) if result in there}


def _profiles(session: Session, keys: Sequence[str]) -> set[str]:
    """Return those keys of profiles that a recipe names."""
    names = {key.rpartition("/")[2].removesuffix(".asn1"): key for key in keys}
    named = cast("Any", QueryJob.recipe)["options"]["in_pssm"].as_string()
    return {names[profile] for profile in session.exec(select(named).where(named.in_(names)))}


def _nothing(_session: Session, _keys: Sequence[str]) -> set[str]:
    """Return nothing: these objects are for whoever asked for them, and can be made again."""
    return set()


_REFERRED = {
    "packs/": _packs,
    "queries/": _queries,
    "reports/": _report_files,
    "outputs/": _outputs,
    "profiles/": _profiles,
}


def _portions(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(islice(iterator, _AT_A_TIME)):
        yield some
