"""Compaction: packs of which little is still referred to are written anew without the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from sqlalchemy import func, update
from sqlmodel import col, select

from multiblast.database import Database, Pack, Result, in_portions
from multiblast.errors import StoreError
from multiblast.results.pack_rows import forget_empty, held_number
from multiblast.results.packs import PackEntry, PackReader, PackWriter
from multiblast.stores import Store

_LIVE_SHARE = 0.5
_PACKS_AT_A_TIME = 1000


@dataclass(slots=True)
class Compacted:
    """How many packs were written anew, how much smaller they are, and why some could not be, by store key."""

    packs: int = 0
    bytes_freed: int = 0
    errors: dict[str, str] = field(default_factory=dict)


def compact(database: Database, store: Store, live_share: float = _LIVE_SHARE) -> Compacted:
    """Write anew the packs of which less than ``live_share`` is still referred to.

    The new pack is stored before any row says so; the old one is only noted as discarded: who reads it now can read on.
    """
    done = Compacted()
    for pack, live_bytes in _live_bytes(database):
        try:
            size = store.stat(pack).size_bytes
            if live_bytes < live_share * size and (left := _rewrite(database, store, pack)):
                done.bytes_freed += size - left
                done.packs += 1
        except (StoreError, OSError) as error:
            done.errors[pack] = str(error)
    return done


def _live_bytes(database: Database) -> Iterator[tuple[str, int]]:
    """Yield each pack that is referred to, and how many of its bytes are."""
    last = ""
    while True:
        statement = select(Pack.key, func.sum(Result.length)).join(Result, col(Result.pack_number) == Pack.number)
        statement = statement.where(Pack.key > last).group_by(Pack.key).order_by(Pack.key).limit(_PACKS_AT_A_TIME)
        with database.read() as session:
            rows = session.exec(statement).all()
        yield from ((pack, int(length)) for pack, length in rows)
        if len(rows) < _PACKS_AT_A_TIME:
            return
        last = rows[-1][0]


def _rewrite(database: Database, store: Store, pack: str) -> int:
    """Write what is referred to of a pack as a new one; return its size in bytes, 0 if somebody else just did."""
    with database.read() as session:
        mine = select(Result, Pack).join(Pack, col(Pack.number) == Result.pack_number).where(Pack.key == pack)
        found = session.exec(mine.order_by(col(Result.offset))).all()
    if not found:
        return 0
    rows, old = [row for row, _ in found], found[0][1]
    with PackReader(store, {pack: len(rows)}) as reader, PackWriter(store) as writer:
        for row in rows:
            entry = PackEntry(row.key, row.offset, row.length, row.digest, row.archive_bytes)
            writer.add_frame(entry, reader.frame(pack, entry))
        new = Pack(key=writer.store(), created_at=old.created_at, way=old.way, run_number=old.run_number)
        _move(database, old.number, new, writer.entries)
        return store.stat(new.key).size_bytes


def _move(database: Database, old: int | None, new: Pack, entries: Sequence[PackEntry]) -> None:
    """Let results that are still in an old pack be in a new one, which is stored."""
    number: int | None = None
    for some in in_portions(entries):
        with database.write() as session:
            number = held_number(session, new)
            for moved in sorted(some, key=attrgetter("key")):  # as expiry removes them, so that neither waits for ever
                here = (col(Result.key) == moved.key) & (col(Result.pack_number) == old)
                session.exec(update(Result).where(here).values(pack_number=number, offset=moved.offset))
    with database.write() as session:
        forget_empty(session, [old, number])
