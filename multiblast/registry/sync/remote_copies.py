"""What is known of which rows here are which rows at another registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select

from multiblast.database import among, insert_missing
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import RemoteCopy, RemoteMark
from multiblast.registry.model.rows import Id, Row


class RemoteCopies:
    """The rows that a registry and one remote registry, given by its name, both have."""

    def __init__(self, registry: Registry, remote: str) -> None:
        self._registry, self._remote = registry, remote

    def all_here(self, rows: Iterable[Id]) -> dict[Id, str]:
        """Return the local numbers of those of many remote rows that are here."""
        return {row: str(number) for row, number in self._look_up(rows, RemoteCopy.reference, RemoteCopy.row_id)}

    def all_there(self, rows: Iterable[Id]) -> dict[Id, str]:
        """Return what those of many local rows that are at the remote are called there."""
        numbers = [(kind, int(number)) for kind, number in rows if number.isdigit()]
        found = self._look_up(numbers, RemoteCopy.row_id, RemoteCopy.reference)
        return {(kind, str(number)): reference for (kind, number), reference in found}

    def _look_up(self, rows: Iterable[tuple[str, Any]], key: Any, value: Any) -> Iterator[tuple[tuple[str, Any], Any]]:
        kinds: dict[str, list[Any]] = {}
        for kind, one in rows:
            kinds.setdefault(kind, []).append(one)
        with self._registry.session() as session:
            for kind, keys in kinds.items():
                query = select(key, value).where(
                    RemoteCopy.remote == self._remote, RemoteCopy.kind == kind, among(session, col(key), keys)
                )
                for one, other in session.exec(query):
                    yield (kind, one), other

    def keep_pulled(self, rows: list[tuple[Row, str]]) -> None:
        """Note the local numbers of remote rows."""
        self._keep({(row.kind, number): row.reference for row, number in rows})

    def keep_pushed(self, rows: list[tuple[Row, str]]) -> None:
        """Note what local rows are called at the remote; rows that are none of a table are left out."""
        self._keep({row.id: there for row, there in rows if row.reference.isdigit()})

    def _keep(self, rows: dict[Id, str]) -> None:
        copies = [
            {"remote": self._remote, "kind": kind, "row_id": int(number), "reference": reference}
            for (kind, number), reference in rows.items()
        ]
        with self._registry.writing() as session:
            insert_missing(session, RemoteCopy, copies)

    def forget(self, rows: Iterable[Id] | None = None) -> None:
        """Forget that some local rows, or all, are at the remote; of all, also what was seen at the last pull."""
        with self._registry.writing() as session:
            ours = col(RemoteCopy.remote) == self._remote
            if rows is None:
                session.execute(delete(RemoteCopy).where(ours))
                session.execute(delete(RemoteMark).where(col(RemoteMark.remote) == self._remote))
                return
            kinds: dict[str, list[int]] = {}
            for kind, number in rows:
                kinds.setdefault(kind, []).append(int(number))
            for kind, numbers in kinds.items():
                which = (ours, col(RemoteCopy.kind) == kind, among(session, col(RemoteCopy.row_id), numbers))
                session.execute(delete(RemoteCopy).where(*which))

    def newest(self, kind: str) -> tuple[int, str] | None:
        """Return the newest local row of a kind that is a copy, and what it is at the remote; None if there is none."""
        query = select(RemoteCopy.row_id, RemoteCopy.reference)
        query = query.where(RemoteCopy.remote == self._remote, RemoteCopy.kind == kind)
        with self._registry.session() as session:
            found = session.exec(query.order_by(col(RemoteCopy.row_id).desc()).limit(1)).first()
        return (found[0], found[1]) if found else None

    def mark(self, kind: str) -> int | None:
        """Return the newest row of a kind that was seen at the remote; None if there never was a pull."""
        with self._registry.session() as session:
            mark = session.get(RemoteMark, (self._remote, kind))
            return None if mark is None else mark.newest

    def set_mark(self, kind: str, newest: int) -> None:
        """Note the newest row of a kind at the remote."""
        with self._registry.writing() as session:
            session.merge(RemoteMark(remote=self._remote, kind=kind, newest=newest))
