"""Objects that nothing refers to any more: noted at once, removed when nobody can still be reading them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from multiblast.database import Discarded

__all__ = ["discard"]


def discard(session: Session, keys: Sequence[str]) -> None:
    """Note that objects are to be removed."""
    if keys:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        rows = [Discarded(key=key).model_dump() for key in keys]
        session.connection().execute(dialect.insert(Discarded).on_conflict_do_nothing(), rows)
