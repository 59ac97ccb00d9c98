"""The rows of packs: there as long as a result refers to them, also if many write and remove at the same time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, exists, not_
from sqlmodel import Session, col, select

from multiblast.database import Discarded, Pack, Result, among, insert_missing


def held_number(session: Session, pack: Pack) -> int:
    """Return the number of a stored pack, whose row is there until the transaction ends.

    Whoever records results some at a time calls it each time: while no result refers to a pack, others may remove its
    row, and SQLite gives the number to the next pack.
    """
    mine = select(Pack.number).where(Pack.key == pack.key).with_for_update(read=True)
    while (number := session.exec(mine).first()) is None:
        insert_missing(session, Pack, [pack.model_dump(exclude={"number"})])
    return number


def forget_empty(session: Session, numbers: Collection[int | None]) -> None:
    """Forget those packs in which nothing is left that anything refers to, and discard them."""
    which = among(session, col(Pack.number), numbers)
    # Who records results of one holds it until they are there to be seen.
    session.exec(select(Pack.number).where(which).order_by(col(Pack.number)).with_for_update())
    empty = and_(which, not_(exists().where(col(Result.pack_number) == Pack.number)))
    packs = session.exec(select(Pack.key).where(empty)).all()
    session.exec(delete(Pack).where(among(session, col(Pack.key), packs)))
    discard(session, packs)


def discard(session: Session, keys: Sequence[str]) -> None:
    """Note that nothing refers to objects any more: they are removed when nobody can still be reading them."""
    insert_missing(session, Discarded, [Discarded(key=key).model_dump() for key in keys])
