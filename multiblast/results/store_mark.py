"""The mark of a store: by it a job database knows the store that its results are in, whatever lies in its place."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from contextlib import suppress
from uuid import uuid4

from sqlmodel import Session, col, exists, select

from multiblast.database import Database, Pack, Result, StoreIdentity, insert_missing, upsert
from multiblast.errors import ObjectMissingError, StoreError, WrongStoreError
from multiblast.stores import Store
from multiblast.stores.base import MARK

_LENGTH = 64
_NEVER = object()
_LOOKS = 8  # at packs, for one that is there
_REMEDY = (
    f"mount its disk, or correct its place; if this is to be the store from now on: multiblast accept-store (its mark "
    f"is the object {MARK!r})"
)


class StoreMark:
    """Looks, before a store is used, whether it is the one that the job database knows.

    Once for each place (`Store.whereabouts`), so that no search pays for it. Both have the same mark from the first
    time that something is written; what only reads marks nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = threading.Lock()
        self._looked_at: dict[bool, Hashable] = {}

    def check(self, store: Store, *, writing: bool) -> None:
        """Make sure that a store is the one that is known, and mark it if something is to be written to it.

        Raises:
            WrongStoreError: it has another mark than the one that is known, or none, or lacks what was kept before.
        """
        place = store.whereabouts()
        if self._looked_at.get(writing, _NEVER) == place:
            return
        with self._looking:
            self._look(store)
            self._looked_at[False] = place
            if writing:
                with suppress(StoreError):  # what is to be written says why
                    self._mark(store)
                    self._looked_at[True] = self._looked_at[False] = store.whereabouts()

    def accept(self, store: Store) -> str:
        """Take a store for the one whose results the database knows, and return its mark."""
        store = store.unguarded()
        with self._database.write() as session:
            mark = _mark_of(store) or uuid4().hex
            upsert(session, StoreIdentity, [_row(mark)], lambda new: {"mark": new["mark"], "since": new["since"]})
            if _mark_of(store) is None:
                store.put(MARK, mark.encode())
        return mark

    def _look(self, store: Store) -> None:
        with self._database.read() as session:
            known, mark = _known(session), _mark_of(store)
            if known != mark and known is not None:
                what = f"has the mark {mark}, but the job database knows {known}" if mark else "is not marked"
                raise WrongStoreError(f"{store!r} is not the store that the results are in, as it {what}: {_REMEDY}")
            if known is None and mark is None and not _has_some_of(session, store):
                raise WrongStoreError(
                    f"{store!r} is not the store that the results are in, as it has none of them: {_REMEDY}"
                )

    def _mark(self, store: Store) -> None:
        """Let database and store remember the same mark; of several who do it first, the database takes one."""
        with self._database.read() as session:
            if _known(session) is not None:  # and `_look` found it there, too
                return
        with self._database.write() as session:
            insert_missing(session, StoreIdentity, [_row(_mark_of(store) or uuid4().hex)])
            if _mark_of(store) is None:
                store.put(MARK, (_known(session) or "").encode())


def _row(mark: str) -> dict[str, object]:
    return StoreIdentity(mark=mark).model_dump()


def _known(session: Session) -> str | None:
    return session.exec(select(StoreIdentity.mark)).first()


def _mark_of(store: Store) -> str | None:
    try:
        return store.read(MARK, 0, _LENGTH).decode(errors="replace").strip() or None
    except ObjectMissingError:
        return None


def _has_some_of(session: Session, store: Store) -> bool:
    """Return whether one of the newest packs is there, or there are none."""
    is_needed = exists().where(col(Result.pack_number) == Pack.number)
    packs = session.exec(select(Pack.key).where(is_needed).order_by(col(Pack.number).desc()).limit(_LOOKS)).all()
    return not packs or any(map(store.exists, packs))
