"""What is known of which rows here are which rows at another registry."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from multiblast.registry.local import Registry
from multiblast.registry.rows import Row
from multiblast.registry.tables import RemoteCopy, RemoteMark

__all__ = ["Copies"]

Id = tuple[str, str]


class Copies:
    """The rows that a registry and one remote registry both have.

    Args:
        registry: The local one.
        remote: The other's name.
    """

    def __init__(self, registry: Registry, remote: str) -> None:
        self._registry, self._remote = registry, remote

    def here(self, row: Id) -> int | None:
        """Return the local number of a remote row; None if it was never pulled or pushed."""
        kind, reference = row
        query = select(RemoteCopy.row_id).where(
            RemoteCopy.remote == self._remote, RemoteCopy.kind == kind, RemoteCopy.reference == reference
        )
        with self._registry.session() as session:
            return session.exec(query).first()

    def knows(self, row: Id) -> bool:
        """Tell whether a remote row is here."""
        return self.here(row) is not None

    def there(self, kind: str, row_ids: Iterable[int]) -> dict[int, str]:
        """Return what local rows of a kind are called at the remote."""
        wanted = sorted(set(row_ids))
        found: dict[int, str] = {}
        with self._registry.session() as session:
            for start in range(0, len(wanted), 400):
                query = select(RemoteCopy.row_id, RemoteCopy.reference).where(
                    RemoteCopy.remote == self._remote,
                    RemoteCopy.kind == kind,
                    col(RemoteCopy.row_id).in_(wanted[start : start + 400]),
                )
                found.update(session.exec(query).all())
        return found

    def keep_pulled(self, rows: list[tuple[Row, str]]) -> None:
        """Note the local numbers of remote rows."""
        self._keep([(row.kind, int(number), row.reference) for row, number in rows])

    def keep_pushed(self, rows: list[tuple[Row, str]]) -> None:
        """Note what local rows are called at the remote; rows that are none of a table are left out."""
        self._keep([(row.kind, int(row.reference), there) for row, there in rows if row.reference.isdigit()])

    def _keep(self, rows: list[tuple[str, int, str]]) -> None:
        with self._registry.writing() as session:
            for kind, number, reference in rows:
                self._put(session, kind, number, reference)

    def _put(self, session: Session, kind: str, number: int, reference: str) -> None:
        if session.get(RemoteCopy, (self._remote, kind, number)) is None:
            session.add(RemoteCopy(remote=self._remote, kind=kind, row_id=number, reference=reference))

    def mark(self, kind: str) -> int | None:
        """Return the newest row of a kind that was seen at the remote; None if there never was a pull."""
        with self._registry.session() as session:
            mark = session.get(RemoteMark, (self._remote, kind))
            return None if mark is None else mark.newest

    def set_mark(self, kind: str, newest: int) -> None:
        """Note the newest row of a kind at the remote."""
        with self._registry.writing() as session:
            session.merge(RemoteMark(remote=self._remote, kind=kind, newest=newest))
