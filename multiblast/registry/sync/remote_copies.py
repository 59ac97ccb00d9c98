"""What is known of which rows here are which rows at another registry."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import col, select

from multiblast.database import among
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import RemoteCopy, RemoteMark
from multiblast.registry.model.rows import Id, Row


class RemoteCopies:
    """The rows that a registry and one remote registry, given by its name, both have."""

    def __init__(self, registry: Registry, remote: str) -> None:
        self._registry, self._remote = registry, remote

    def all_here(self, rows: Iterable[Id]) -> dict[Id, str]:
        """Return the local numbers of those of many remote rows that are here."""
        wanted: dict[str, list[str]] = {}
        for kind, reference in rows:
            wanted.setdefault(kind, []).append(reference)
        found: dict[Id, str] = {}
        with self._registry.session() as session:
            for kind, references in wanted.items():
                query = select(RemoteCopy.reference, RemoteCopy.row_id).where(
                    RemoteCopy.remote == self._remote,
                    RemoteCopy.kind == kind,
                    among(session, col(RemoteCopy.reference), references),
                )
                found |= {(kind, reference): str(number) for reference, number in session.exec(query)}
        return found

    def there(self, kind: str, row_ids: Iterable[int]) -> dict[int, str]:
        """Return what local rows of a kind are called at the remote."""
        with self._registry.session() as session:
            query = select(RemoteCopy.row_id, RemoteCopy.reference).where(
                RemoteCopy.remote == self._remote,
                RemoteCopy.kind == kind,
                among(session, col(RemoteCopy.row_id), set(row_ids)),
            )
            return dict(session.exec(query).all())

    def keep_pulled(self, rows: list[tuple[Row, str]]) -> None:
        """Note the local numbers of remote rows."""
        self._keep([(row.kind, int(number), row.reference) for row, number in rows])

    def keep_pushed(self, rows: list[tuple[Row, str]]) -> None:
        """Note what local rows are called at the remote; rows that are none of a table are left out."""
        self._keep([(row.kind, int(row.reference), there) for row, there in rows if row.reference.isdigit()])

    def _keep(self, rows: list[tuple[str, int, str]]) -> None:
        numbers: dict[str, list[int]] = {}
        for kind, number, _ in rows:
            numbers.setdefault(kind, []).append(number)
        kept = {(kind, number) for kind, some in numbers.items() for number in self.there(kind, some)}
        fresh = {(kind, number): reference for kind, number, reference in rows if (kind, number) not in kept}
        with self._registry.writing() as session:
            session.add_all(
                RemoteCopy(remote=self._remote, kind=kind, row_id=number, reference=reference)
                for (kind, number), reference in fresh.items()
            )

    def mark(self, kind: str) -> int | None:
        """Return the newest row of a kind that was seen at the remote; None if there never was a pull."""
        with self._registry.session() as session:
            mark = session.get(RemoteMark, (self._remote, kind))
            return None if mark is None else mark.newest

    def set_mark(self, kind: str, newest: int) -> None:
        """Note the newest row of a kind at the remote."""
        with self._registry.writing() as session:
            session.merge(RemoteMark(remote=self._remote, kind=kind, newest=newest))
