"""Compaction: packs of which little is still referred to are written anew without the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from multiblast.database import Database, Discarded, Result, insert_missing
from multiblast.errors import StoreError
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
            if live_bytes < live_share * size:
                done.bytes_freed += size - _rewrite(database, store, pack)
                done.packs += 1
        except (StoreError, OSError) as error:
            done.errors[pack] = str(error)
    return done


def discard(session: Session, keys: Sequence[str]) -> None:
    """Note that nothing refers to objects any more: they are removed when nobody can still be reading them."""
    insert_missing(session, Discarded, [Discarded(key=key).model_dump() for key in keys])


def _live_bytes(database: Database) -> Iterator[tuple[str, int]]:
    """Yield each pack that is referred to, and how many of its bytes are."""
    last = ""
    while True:
        statement = select(Result.pack, func.sum(Result.length)).where(Result.pack > last)
        statement = statement.group_by(Result.pack).order_by(Result.pack).limit(_PACKS_AT_A_TIME)
        with database.read() as session:
            rows = session.exec(statement).all()
        yield from ((pack, int(length)) for pack, length in rows)
        if len(rows) < _PACKS_AT_A_TIME:
            return
        last = rows[-1][0]


def _rewrite(database: Database, store: Store, pack: str) -> int:
    """Write what is referred to of a pack as a new one; return its size in bytes."""
    with database.read() as session:
        rows = session.exec(select(Result).where(Result.pack == pack).order_by(col(Result.offset))).all()
    with PackReader(store, {pack: len(rows)}) as reader, PackWriter(store) as writer:
        for row in rows:
            entry = PackEntry(row.key, row.offset, row.length, row.digest, row.archive_bytes)
            writer.add_frame(entry, reader.frame(pack, entry))
        new = writer.store()
        with database.write() as session:
            for moved in writer.entries:
                here = (col(Result.key) == moved.key) & (col(Result.pack) == pack)
                session.exec(update(Result).where(here).values(pack=new, offset=moved.offset))
            discard(session, [pack])
    return store.stat(new).size_bytes
