"""Looking results up, claiming the right to search, and recording what was found."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import Session, col, select

from multiblast.archive import Summary
from multiblast.database import (
    LEASE,
    ChildJob,
    Database,
    Failure,
    Lease,
    QueryJob,
    Result,
    among,
    database_now,
    heartbeat,
    upsert,
    utc_now,
)
from multiblast.errors import NotFoundError
from multiblast.results.holders import is_gone
from multiblast.results.packs import PackEntry, PackReader, PackWriter
from multiblast.stores import Store

_CHECKS_AT_A_TIME = 8
_PLACE = tuple(field.name for field in fields(PackEntry))
_SUMMARY = tuple(name for name in Summary._fields if name in Result.model_fields)


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of the wish to search some keys: known already, leased to the holder, or being searched by others."""

    known: frozenset[str] = field(default_factory=frozenset)
    mine: frozenset[str] = field(default_factory=frozenset)
    others: frozenset[str] = field(default_factory=frozenset)


class Results:
    """Every result there is: rows in the database, archives in packs in the store."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database, self._store = database, store

    def known(self, keys: Collection[str]) -> dict[str, Result]:
        """Return the rows of those keys that have a result."""
        with self._database.read() as session:
            rows = session.exec(select(Result).where(among(session, col(Result.key), keys)))
            return {row.key: row for row in rows}

    def claim(self, keys: Collection[str], holder: str, *, lost: Collection[str] = ()) -> Claim:
        """Lease those keys to ``holder`` that nobody has searched or is searching.

        A lease lasts 60 s unless kept alive (`keep_leases_alive`): what a killed holder had is taken over, and at once
        if it was a process of this machine. What packs of ``lost`` held, which are not in the store, is not known.
        """
        with self._database.write() as session:
            known = _known_keys(session, keys, lost)
            left = sorted(set(keys) - known)  # in one order everywhere, so that two claims never wait for each other
            gone = sorted(filter(is_gone, set(_holders(session, left).values())))
            mine = _take_leases(session, left, holder, gone)
            late = _known_keys(
                session, mine, lost
            )  # their searches ended, and gave their leases back, since the first look
            _give_back(session, late, holder)
        others = frozenset(left) - mine
        return Claim(frozenset(known | late), frozenset(mine - late), others)

    def keep_leases_alive(self, holder: str) -> AbstractContextManager[None]:
        """Keep the holder's leases alive while the block runs, and give back what is left of them after it."""
        return heartbeat(partial(self.renew, holder), partial(self.release, holder))

    def release(self, holder: str) -> None:
        """Give back all leases of ``holder``."""
        with self._database.write() as session:
            _delete(session, Lease, col(Lease.holder) == holder)

    def add(self, pack: PackWriter, summaries: Sequence[Summary], holder: str, *, lost: Collection[str] = ()) -> None:
        """Store a pack, then record its results and give their leases back, in one transaction.

        A key that got a result meanwhile keeps the one it has, unless that is in a pack of ``lost``.
        """
        if not pack.entries:
            return
        name, now = pack.store(), utc_now()
        rows = [
            {"pack": name, "created_at": now}
            | {column: getattr(entry, column) for column in _PLACE}
            | _columns(summary)
            for entry, summary in zip(pack.entries, summaries, strict=True)
        ]
        keys = [entry.key for entry in pack.entries]
        rows.sort(key=itemgetter("key"))  # in one order everywhere, so that two writers never wait for each other
        with self._database.write() as session:
            is_lost = among(session, col(Result.pack), lost)
            values = [name for name in rows[0] if name != "key"]
            upsert(session, Result, rows, lambda new: {name: new[name] for name in values}, where=is_lost)
            _give_back(session, keys, holder)
            _clear_failures(session, keys)

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
        """Record that a sequence cannot be searched, and why, in place of a result in a pack of ``lost``."""
        with self._database.write() as session:
            _give_back(session, [key], holder)  # not that of somebody who took it over meanwhile
            session.exec(delete(Result).where(col(Result.key) == key, among(session, col(Result.pack), lost)))
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

    def archives(self, keys: Sequence[str]) -> Iterator[bytes]:
        """Yield the archive of each key, in order, reading each pack as little as possible.

        Raises:
            NotFoundError: a key has no result.
            StoreError: a pack is missing or damaged.
        """
        rows = self.known(set(keys))
        missing = next((key for key in keys if key not in rows), None)
        if missing is not None:
            raise NotFoundError("result", missing, "run its job again")
        with PackReader(self._store, dict(Counter(rows[key].pack for key in keys))) as reader:
            for key in keys:
                row = rows[key]
                yield reader.archive(row.pack, PackEntry(key, row.offset, row.length, row.digest, row.archive_bytes))

    def lost_packs(self, rows: Iterable[Result]) -> frozenset[str]:
        """Return the packs that some results are said to be in and that are not in the store.

        This only looks: another store may be meant, or it may be back in a while. What is lost is searched again,
        and `add` then replaces its rows; only `multiblast.upkeep.StorageUpkeep.verify` forgets rows.
        """
        packs = sorted({row.pack for row in rows})
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


def _columns(summary: Summary) -> dict[str, Any]:
    """Return a summary as columns, with a note where an empty result has a reason."""
    masked, searched = summary.masked_length, summary.searched
    note = ""
    if summary.left_out:
        note = "left out: it ends before query_loc begins"
    elif not searched or (masked and masked >= summary.query_length):
        note = "masked whole: nothing was left to search with"
    elif not summary.hits:
        note = f"no hits ({masked} of {summary.query_length} letters masked)" if masked else "no hits"
    return {column: getattr(summary, column) for column in _SUMMARY} | {"note": note}


def _known_keys(session: Session, keys: Collection[str], lost: Collection[str]) -> set[str]:
    packs = session.exec(select(Result.key, Result.pack).where(among(session, col(Result.key), keys)))
    return {key for key, pack in packs if pack not in lost}


def _holders(session: Session, keys: Collection[str]) -> dict[str, str]:
    leases = select(Lease.key, Lease.holder).where(among(session, col(Lease.key), keys))
    return {key: holder for key, holder in session.exec(leases)}  # noqa: C416 - rows are no pairs to mypy


def _take_leases(session: Session, keys: Sequence[str], holder: str, gone: Collection[str]) -> set[str]:
    """Insert leases, or take over those that have expired or whose holder is gone; return the keys now held."""
    now = database_now(session)
    free = (col(Lease.expires_at) <= now) | among(session, col(Lease.holder), [holder, *gone])
    rows = [{"key": key, "holder": holder, "expires_at": now + LEASE} for key in keys]
    upsert(session, Lease, rows, lambda new: {"holder": new.holder, "expires_at": new.expires_at}, where=free)
    return {key for key, held_by in _holders(session, keys).items() if held_by == holder}


def _give_back(session: Session, keys: Collection[str], holder: str) -> None:
    _delete(session, Lease, among(session, col(Lease.key), keys) & (col(Lease.holder) == holder))


def _delete(session: Session, table: Any, which: ColumnElement[bool]) -> None:
    # Locked in one order everywhere, that of claims, so that no two transactions wait for each other.
    ordered = select(table.key).where(which).order_by(table.key).with_for_update()
    session.exec(delete(table).where(table.key.in_(ordered)))


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
        .where(ChildJob.parent_id == job.id)
        .order_by(col(ChildJob.position))
    )
    for digest in session.exec(statement):
        hasher.update(bytes.fromhex(digest))
        found += 1
    return hasher.hexdigest() if found == job.sequences else ""
