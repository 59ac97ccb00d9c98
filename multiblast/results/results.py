"""Looking results up, claiming the right to search, and recording what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from operator import itemgetter
from threading import Event, Thread
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from multiblast.archive import Summary
from multiblast.database import Database, Failure, Lease, Result, utc_now
from multiblast.errors import NotFoundError
from multiblast.results.holders import is_gone
from multiblast.results.packs import PackEntry, PackReader, PackWriter
from multiblast.stores import Store

__all__ = ["Claim", "Results"]

LEASE_S = 60
HEARTBEAT_S = 15
_ROWS_A_STATEMENT = 1000
_CHECKS_AT_A_TIME = 8
_PLACE = tuple(field.name for field in fields(PackEntry))
_SUMMARY = tuple(field.name for field in fields(Summary) if field.name in Result.model_fields)


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of the wish to search some keys.

    Attributes:
        known: Already searched.
        mine: Now leased to the one who asked.
        others: Being searched by somebody else.
    """

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
            return {row.key: row for row in _rows(session, Result, keys)}

    def failures(self, keys: Collection[str]) -> dict[str, Failure]:
        """Return why those keys could not be searched that could not."""
        with self._database.read() as session:
            return {row.key: row for row in _rows(session, Failure, keys)}

    def claim(self, keys: Collection[str], holder: str) -> Claim:
        """Lease those keys to ``holder`` that nobody has searched or is searching.

        A lease lasts 60 s unless kept alive (`holding`): what a killed holder had is taken over,
        and at once if it was a process of this machine.
        """
        with self._database.write() as session:
            known = _known_keys(session, keys)
            left = sorted(set(keys) - known)  # in one order everywhere, so that two claims never wait for each other
            gone = sorted(filter(is_gone, set(_holders(session, left).values())))
            mine = _take_leases(session, left, holder, gone)
            late = _known_keys(session, mine)  # their searches ended, and gave their leases back, since the first look
            _give_back(session, late, holder)
        others = frozenset(left) - mine
        return Claim(frozenset(known | late), frozenset(mine - late), others)

    @contextmanager
    def holding(self, holder: str) -> Iterator[None]:
        """Keep the holder's leases alive while the block runs, and give back what is left of them after it."""
        stop = Event()
        thread = Thread(target=self._keep_alive, args=(holder, stop), name="lease-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.release(holder)

    def release(self, holder: str) -> None:
        """Give back all leases of ``holder``."""
        with self._database.write() as session:
            _delete_leases(session, col(Lease.holder) == holder)

    def add(self, pack: PackWriter, summaries: Sequence[Summary], holder: str) -> None:
        """Store a pack, then record its results and give their leases back, in one transaction.

        A key that got a result meanwhile keeps the one it has.
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
            _insert_missing(session, Result, rows)
            _give_back(session, keys, holder)
            _forgive(session, keys)

    def fail(self, key: str, failure_class: str, message: str, batch_run: int | None = None) -> None:
        """Record that a sequence cannot be searched, and why."""
        with self._database.write() as session:
            session.exec(delete(Lease).where(col(Lease.key) == key))
            session.merge(Failure(key=key, failure_class=failure_class, message=message, batch_run=batch_run))

    def forgive(self, keys: Collection[str]) -> None:
        """Forget that keys failed, so that they are searched again."""
        with self._database.write() as session:
            _forgive(session, keys)

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

    def check_present(self, keys: Collection[str]) -> frozenset[str]:
        """Drop the rows whose pack is gone from the store, and return their keys."""
        packs = sorted({row.pack for row in self.known(keys).values()})
        with ThreadPoolExecutor(_CHECKS_AT_A_TIME) as pool:
            present = list(pool.map(self._store.exists, packs))
        lost: set[str] = set()
        if not all(present):
            with self._database.write() as session:
                for pack in (pack for pack, is_present in zip(packs, present, strict=True) if not is_present):
                    # What the database says now: a result may have moved to another pack meanwhile.
                    gone = delete(Result).where(col(Result.pack) == pack).returning(col(Result.key))
                    lost.update(session.connection().execute(gone).scalars())
        return frozenset(lost.intersection(keys))

    def _keep_alive(self, holder: str, stop: Event) -> None:
        while not stop.wait(HEARTBEAT_S):
            with suppress(SQLAlchemyError):  # the database may be back before the leases expire
                self.renew(holder)

    def renew(self, holder: str) -> None:
        """Let the leases of ``holder`` last for another 60 s."""
        with self._database.write() as session:
            # Rows that `add` is removing are left out: waiting for them could be a deadlock.
            mine = select(Lease.key).where(Lease.holder == holder).with_for_update(skip_locked=True)
            expires_at = _now(session) + timedelta(seconds=LEASE_S)
            session.exec(update(Lease).where(col(Lease.key).in_(mine)).values(expires_at=expires_at))


def _now(session: Session) -> datetime:
    """The database's time where it is a server: the clocks of the machines that ask may differ."""
    if session.get_bind().dialect.name == "postgresql":
        now: datetime = session.connection().execute(select(func.clock_timestamp())).scalar_one()
        return now
    return utc_now()


def _columns(summary: Summary) -> dict[str, Any]:
    """Return a summary as columns, with a note where an empty result has a reason."""
    masked, searched = summary.masked_length, summary.searched
    note = ""
    if not searched or (masked and masked >= summary.query_length):
        note = "masked whole: nothing was left to search with"
    elif not summary.hits:
        note = f"no hits ({masked} of {summary.query_length} letters masked)" if masked else "no hits"
    return {column: getattr(summary, column) for column in _SUMMARY} | {"note": note}


def batched_keys(keys: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield keys in portions that fit one statement."""
    iterator = iter(keys)
    while portion := tuple(key for _, key in zip(range(_ROWS_A_STATEMENT), iterator, strict=False)):
        yield portion


def _rows(session: Session, table: Any, keys: Collection[str]) -> Iterator[Any]:
    for some in batched_keys(keys):
        yield from session.exec(select(table).where(table.key.in_(some)))


def _insert(session: Session, table: Any) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _insert_missing(session: Session, table: Any, rows: list[dict[str, Any]]) -> None:
    session.connection().execute(_insert(session, table).on_conflict_do_nothing(), rows)


def _known_keys(session: Session, keys: Collection[str]) -> set[str]:
    return {
        key for some in batched_keys(keys) for key in session.exec(select(Result.key).where(col(Result.key).in_(some)))
    }


def _holders(session: Session, keys: Collection[str]) -> dict[str, str]:
    return {
        key: holder
        for some in batched_keys(keys)
        for key, holder in session.exec(select(Lease.key, Lease.holder).where(col(Lease.key).in_(some)))
    }


def _take_leases(session: Session, keys: Sequence[str], holder: str, gone: Collection[str]) -> set[str]:
    """Insert leases, or take over those that have expired or whose holder is gone; return the keys now held."""
    if not keys:
        return set()
    now, statement = _now(session), _insert(session, Lease)
    free = or_(col(Lease.expires_at) <= now, *(col(Lease.holder) == ended for ended in (holder, *gone)))
    values = {"holder": statement.excluded.holder, "expires_at": statement.excluded.expires_at}
    statement = statement.on_conflict_do_update(index_elements=["key"], set_=values, where=free)
    expires_at = now + timedelta(seconds=LEASE_S)
    rows = [{"key": key, "holder": holder, "expires_at": expires_at} for key in keys]
    session.connection().execute(statement, rows)
    return {key for key, held_by in _holders(session, keys).items() if held_by == holder}


def _give_back(session: Session, keys: Collection[str], holder: str) -> None:
    for some in batched_keys(sorted(keys)):
        _delete_leases(session, col(Lease.key).in_(some) & (col(Lease.holder) == holder))


def _delete_leases(session: Session, which: ColumnElement[bool]) -> None:
    # Locked in the order in which claims ask for them, so that neither waits for the other.
    ordered = select(Lease.key).where(which).order_by(col(Lease.key)).with_for_update()
    session.exec(delete(Lease).where(col(Lease.key).in_(ordered)))


def _forgive(session: Session, keys: Collection[str]) -> None:
    for some in batched_keys(sorted(keys)):
        session.exec(delete(Failure).where(col(Failure.key).in_(some)))
