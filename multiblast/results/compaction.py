"""Compaction: packs of which little is still referred to are written anew without the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, delete, exists, func, not_, update
from sqlmodel import Session, col, select

from multiblast.database import Database, Discarded, Pack, Result, among, in_portions, insert_missing
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
        statement = select(Pack.key, func.sum(Result.length)).join(Result, col(Result.pack_number) == Pack.number)
        statement = statement.where(Pack.key > last).group_by(Pack.key).order_by(Pack.key).limit(_PACKS_AT_A_TIME)
        with database.read() as session:
            rows = session.exec(statement).all()
        yield from ((pack, int(length)) for pack, length in rows)
        if len(rows) < _PACKS_AT_A_TIME:
            return
        last = rows[-1][0]


def _rewrite(database: Database, store: Store, pack: str) -> int:
    """Write what is referred to of a pack as a new one; return its size in bytes."""
    with database.read() as session:
        old = session.exec(select(Pack).where(Pack.key == pack)).one()
        mine = select(Result).where(Result.pack_number == old.number).order_by(col(Result.offset))
        rows = session.exec(mine).all()
    with PackReader(store, {pack: len(rows)}) as reader, PackWriter(store) as writer:
        for row in rows:
            entry = PackEntry(row.key, row.offset, row.length, row.digest, row.archive_bytes)
            writer.add_frame(entry, reader.frame(pack, entry))
        new = Pack(key=writer.store(), created_at=old.created_at, way=old.way, run_number=old.run_number)
        with database.write() as session:
            session.add(new)
            session.flush()
            number, key = new.number, new.key
        for some in in_portions(writer.entries):
            with database.write() as session:
                for moved in some:
                    here = (col(Result.key) == moved.key) & (col(Result.pack_number) == old.number)
                    session.exec(update(Result).where(here).values(pack_number=number, offset=moved.offset))
        with database.write() as session:
            forget_empty(session, [old.number])
    return store.stat(key).size_bytes


def forget_empty(session: Session, numbers: Collection[int | None]) -> None:
    """Forget those packs in which nothing is left that anything refers to, and discard them."""
    of_pack = col(Result.pack_number) == Pack.number
    empty = and_(among(session, col(Pack.number), numbers), not_(exists().where(of_pack)))
    packs = session.exec(select(Pack.key).where(empty)).all()
    session.exec(delete(Pack).where(among(session, col(Pack.key), packs)))
    discard(session, packs)
