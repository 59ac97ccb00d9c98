"""Looking results up, claiming the right to search, and recording what was found."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, col, select

from multiblast.archive import Summary
from multiblast.database import (
    LEASE,
    ChildJob,
    Database,
    Failure,
    Lease,
    Pack,
    QueryJob,
    Result,
    Run,
    among,
    database_now,
    heartbeat,
    in_portions,
    insert_missing,
    take,
    upsert,
)
from multiblast.errors import NotFoundError
from multiblast.results.holders import is_at_work, is_gone
from multiblast.results.pack_rows import held_number
from multiblast.results.packs import PackEntry, PackReader, PackWriter
from multiblast.stores import Store

_CHECKS_AT_A_TIME = 8
_SLICE = 3000  # rows of one transaction
_READ_AT_A_TIME = 10_000  # results, whose rows take some megabytes
_NONE_COUNTED: Mapping[str, int] = {}
_PLACE = tuple(field.name for field in fields(PackEntry))
_SUMMARY = tuple(name for name in Summary._fields if name in Result.model_fields)
_COLUMNS = (*_PLACE, *_SUMMARY, "pack_number", "counted", "note")
_place_of, _summary_of = attrgetter(*_PLACE), attrgetter(*_SUMMARY)


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of the wish to search some keys: known already, leased to the holder, or being searched by others."""

    known: frozenset[str] = field(default_factory=frozenset)
    mine: frozenset[str] = field(default_factory=frozenset)
    others: frozenset[str] = field(default_factory=frozenset)


class StoredResult(NamedTuple):
    """Where the archive of one result lies: its bytes in a pack, by the pack's store key; see `PackEntry`."""

    key: str
    pack: str
    offset: int
    length: int
    digest: str
    archive_bytes: int

    @property
    def entry(self) -> PackEntry:
        """Its place in the pack."""
        return PackEntry(self.key, self.offset, self.length, self.digest, self.archive_bytes)


class Results:
    """Every result there is: rows in the database, archives in packs in the store."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database, self._store = database, store

    def known(self, keys: Collection[str]) -> dict[str, StoredResult]:
        """Return where the results of those keys are that have one."""
        with self._database.read() as session:
            known = _STORED.where(among(session, col(Result.key), keys))
            rows = map(StoredResult._make, session.connection().execute(known).all())
            return {row.key: row for row in rows}

    def packs(self, keys: Collection[str]) -> dict[str, str]:
        """Return in which packs the results of those keys are that have one."""
        statement = sa_select(col(Result.key), col(Pack.key)).join(Pack, col(Pack.number) == Result.pack_number)
        with self._database.read() as session:
            rows = session.connection().execute(statement.where(among(session, col(Result.key), keys)))
            return {key: pack for key, pack in rows.all()}  # noqa: C416 - rows are no pairs to mypy

    def within(self, pack: str) -> list[StoredResult]:
        """Return the results in a pack, in the order of their bytes."""
        rows = _STORED.where(col(Pack.key) == pack).order_by(col(Result.offset))
        with self._database.read() as session:
            return list(map(StoredResult._make, session.connection().execute(rows).all()))

    def digests(self, keys: Collection[str]) -> dict[str, str]:
        """Return the SHA-256 of the archives of those keys that have a result."""
        with self._database.read() as session:
            rows = session.exec(select(Result.key, Result.digest).where(among(session, col(Result.key), keys)))
            return {key: found for key, found in rows}  # noqa: C416 - rows are no pairs to mypy

    def counted(self, keys: Collection[str]) -> dict[str, int]:
        """Return what samples showed of the candidates of those keys of which that is known."""
        with self._database.read() as session:
            rows = session.exec(select(Result.key, Result.counted).where(among(session, col(Result.key), keys)))
            return {key: counted for key, counted in rows if counted is not None}

    def claim(self, keys: Collection[str], holder: str, *, lost: Collection[str] = ()) -> Claim:
        """Lease those keys to ``holder`` that nobody has searched or is searching.

        A lease lasts 60 s unless kept alive (`keep_leases_alive`): what a killed holder had is taken over, and at once
        if it was a process of this machine; one that is at work there is late at most. What packs of ``lost`` held,
        which are not in the store, is not known.
        """
        known, mine, others = set[str](), set[str](), set[str]()
        # In one order everywhere, so that two claims never wait for each other; a slice is a twentieth of a second.
        for some in in_portions(sorted(set(keys)), _SLICE):
            with self._database.write() as session:
                found = _known_keys(session, some, lost)
                left = [key for key in some if key not in found]
                taken = _take_leases(session, left, holder)
                # Their searches ended, and gave their leases back, since the first look.
                late = _known_keys(session, taken, lost)
                if late:
                    _give_back(session, late, holder)
            known |= found | late
            mine |= taken - late
            others |= set(left) - taken
        return Claim(frozenset(known), frozenset(mine), frozenset(others))

    def keep_leases_alive(self, holder: str) -> AbstractContextManager[None]:
        """Keep the holder's leases alive while the block runs, and give back what is left of them after it."""
        return heartbeat(partial(self.renew, holder), partial(self.release, holder))

    def release(self, holder: str) -> None:
        """Give back all leases of ``holder``."""
        with self._database.write() as session:
            _delete(session, Lease, col(Lease.holder) == holder)

    def add(  # noqa: PLR0913 - the facts of a result
        self,
        pack: PackWriter,
        summaries: Sequence[Summary],
        holder: str,
        *,
        lost: Collection[str] = (),
        run: int | None = None,
        way: str = "",
        counted: Mapping[str, int] = _NONE_COUNTED,
    ) -> None:
        """Store a pack, then record its results, by which way they were found, and give their leases back.

        A key that got a result meanwhile keeps the one it has, unless that is in a pack of ``lost``. The others are
        counted as searched by ``run`` as they are recorded, so that whatever happens to its processes, its number is
        that of its results.
        """
        if not pack.entries:
            return
        stored = Pack(key=pack.store(), way=way, run_number=run)
        # In one order everywhere, so that two writers never wait for each other.
        found = sorted(zip(pack.entries, summaries, strict=True), key=lambda one: one[0].key)
        for some in in_portions(found, _SLICE):
            with self._database.write() as session:
                number = held_number(session, stored)
                rows = [_row(number, entry, summary, counted.get(entry.key)) for entry, summary in some]
                if lost:
                    is_lost = among(session, col(Result.pack_number), _numbers(session, lost))
                    new = upsert(session, Result, rows, _all_but_key, where=is_lost)
                else:
                    new = insert_missing(session, Result, rows)
                keys = [entry.key for entry, _ in some]
                _give_back(session, keys, holder)
                _clear_failures(session, keys)
                if run and new:  # last, as other processes of the run wait for its row until the transaction ends
                    session.exec(update(Run).where(col(Run.number) == run).values(searched=col(Run.searched) + new))

    def fail(  # noqa: PLR0913 - the facts of a failure
        self,
        key: str,
        failure_class: str,
        message: str,
        holder: str,
        *,
        batch_run: int | None = None,
        lost: Collection[str] = (),
    ) -> None:
        """Record that a sequence cannot be searched, and why, in place of a result in a pack of ``lost``.

        Nothing is recorded where somebody else took it over, or has found its result.
        """
        with self._database.write() as session:
            _give_back(session, [key], holder)
            if session.exec(select(Lease.key).where(Lease.key == key).with_for_update()).first() is not None:
                return
            is_lost = among(session, col(Result.pack_number), _numbers(session, lost))
            session.exec(delete(Result).where(col(Result.key) == key, is_lost))
            if session.exec(select(Result.key).where(Result.key == key)).first() is not None:
                return
            session.merge(Failure(key=key, failure_class=failure_class, message=message, batch_run=batch_run))

    def failures(self) -> dict[str, int]:
        """Return how many sequences could not be searched, by the class of their failure, the most frequent first."""
        count = func.count()
        with self._database.read() as session:
            statement = select(Failure.failure_class, count).group_by(Failure.failure_class).order_by(count.desc())
            return dict(session.exec(statement).all())

    def clear_failures(self, keys: Collection[str]) -> None:
        """Forget that keys failed, so that they are searched again."""
        if keys:
            with self._database.write() as session:
                _clear_failures(session, keys)

    def archives(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Yield the archive of each key, in order, reading each pack as little as possible, in memory for some.

        Raises:
            NotFoundError: a key has no result.
            StoreError: a pack is missing or damaged.
        """
        with PackReader(self._store) as reader:
            for some in in_portions(keys, _READ_AT_A_TIME):
                rows = self.known(set(some))
                missing = next((key for key in some if key not in rows), None)
                if missing is not None:
                    raise NotFoundError("result", missing, "run its job again")
                reader.wanted = Counter(rows[key].pack for key in some)
                for key in some:
                    yield reader.archive(rows[key].pack, rows[key].entry)

    def lost_packs(self, rows: Iterable[StoredResult]) -> frozenset[str]:
        """Return the packs that some results are said to be in and that are not in the store.

        This only looks: another store may be meant, or it may be back in a while. What is lost is searched again,
        and `add` then replaces its rows; only `multiblast.upkeep.StorageUpkeep.verify` forgets rows.
        """
        return self.absent({row.pack for row in rows})

    def absent(self, packs: Iterable[str]) -> frozenset[str]:
        """Return those packs that are not in the store."""
        packs = sorted(packs)
        with ThreadPoolExecutor(_CHECKS_AT_A_TIME) as pool:
            present = pool.map(self._store.exists, packs)
            return frozenset(pack for pack, is_present in zip(packs, present, strict=True) if not is_present)

    def renew(self, holder: str) -> None:
        """Let the leases of ``holder`` last for another 60 s."""
        with self._database.write() as session:
            # Rows that `add` is removing are left out: waiting for them could be a deadlock.
            mine = select(Lease.key).where(Lease.holder == holder).with_for_update(skip_locked=True)
            expires_at = database_now(session) + LEASE
            session.exec(update(Lease).where(col(Lease.key).in_(mine)).values(expires_at=expires_at))


def _row(pack_number: int, entry: PackEntry, summary: Summary, counted: int | None) -> dict[str, Any]:
    """Return a result as columns, with a note where an empty one has a reason."""
    masked, searched = summary.masked_length, summary.searched
    note = ""
    if summary.left_out:
        note = "left out: it ends before query_loc begins"
    elif not searched or (masked and masked >= summary.query_length):
        note = "masked whole: nothing was left to search with"
    elif not summary.hits:
        note = f"no hits ({masked} of {summary.query_length} letters masked)" if masked else "no hits"
    values = (*_place_of(entry), *_summary_of(summary), pack_number, counted, note)
    return dict(zip(_COLUMNS, values, strict=True))


_STORED = sa_select(col(Result.key), col(Pack.key), *(col(getattr(Result, name)) for name in _PLACE[1:])).join(
    Pack, col(Pack.number) == Result.pack_number
)


def _all_but_key(new: Any) -> dict[str, Any]:
    return {name: new[name] for name in Result.model_fields if name != "key"}


def _numbers(session: Session, packs: Collection[str]) -> list[int]:
    """Return the numbers of packs."""
    if not packs:
        return []
    return [number or 0 for number in session.exec(select(Pack.number).where(among(session, col(Pack.key), packs)))]


def _known_keys(session: Session, keys: Collection[str], lost: Collection[str]) -> set[str]:
    known = select(Result.key).where(among(session, col(Result.key), keys))
    known = known.where(col(Result.pack_number).not_in(_numbers(session, lost))) if lost else known
    return set(session.connection().execute(known).scalars().all())


def _take_leases(session: Session, keys: Sequence[str], holder: str) -> set[str]:
    """Insert leases, or take over those that have expired or whose holder is gone; return the keys now held."""
    now = database_now(session)
    mine = {"holder": holder, "expires_at": now + LEASE}
    taken = take(session, col(Lease.key), keys, mine, where=col(Lease.holder) == holder)
    if others := [key for key in keys if key not in taken]:
        of_others = among(session, col(Lease.key), others)
        holders = session.exec(select(Lease.holder).where(of_others).distinct()).all()
        is_late = (col(Lease.expires_at) <= now) & col(Lease.holder).not_in(list(filter(is_at_work, holders)))
        free = col(Lease.holder).in_(list(filter(is_gone, holders))) | is_late
        taken |= take(session, col(Lease.key), others, mine, where=free)
    return taken


def _give_back(session: Session, keys: Collection[str], holder: str) -> None:
    _delete(session, Lease, among(session, col(Lease.key), keys) & (col(Lease.holder) == holder))


def _delete(session: Session, table: Any, which: ColumnElement[bool]) -> None:
    # Locked in one order everywhere, that of claims, so that no two transactions wait for each other.
    ordered = select(table.key).where(which).order_by(table.key).with_for_update()
    session.connection().execute(delete(table).where(table.key.in_(ordered)))


def _clear_failures(session: Session, keys: Collection[str]) -> None:
    _delete(session, Failure, among(session, col(Failure.key), keys))


def results_digest(session: Session, job: QueryJob) -> str:
    """Return the digest of a job's results; empty if one is missing.

    Of one sequence it is that of its archive; of several it is the SHA-256 over
    theirs, in the order of the query.
    """
    if job.sequences == 1:
        return session.exec(select(Result.digest).where(Result.key == job.result_key)).first() or ""
    hasher, found = hashlib.sha256(), 0
    statement = (
        select(Result.digest)
        .join(ChildJob, col(ChildJob.result_key) == Result.key)
        .where(ChildJob.list_number == job.list_number)
        .order_by(col(ChildJob.position))
    )
    for digest in session.exec(statement.execution_options(yield_per=_SLICE)):
        hasher.update(bytes.fromhex(digest))
        found += 1
    return hasher.hexdigest() if found == job.sequences else ""
