"""Statements that SQLite and PostgreSQL spell differently, or that would outgrow one statement."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, cast, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlmodel import Session

from multiblast.database.tables import HexBytes, utc_now

_Item = TypeVar("_Item")


def is_postgresql(session: Session) -> bool:
    """Whether the database is a PostgreSQL server, rather than an SQLite file."""
    return session.get_bind().dialect.name == "postgresql"


def database_now(session: Session) -> datetime:
    """Return the server's time where there is a server, since the clocks of its clients may differ."""
    if is_postgresql(session):
        now: datetime = session.connection().execute(select(func.clock_timestamp())).scalar_one()
        return now
    return utc_now()


def insert_missing(session: Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, but for those whose key exists already, which stay as they are."""
    if rows:
        session.connection().execute(_insert(session, table).on_conflict_do_nothing(), rows)


def upsert(  # noqa: PLR0913 - the parts of one SQL statement
    session: Session,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    changes: Callable[[Any], Mapping[str, Any]],
    *,
    where: ColumnElement[bool] | None = None,
    key: Sequence[str] = (),
) -> None:
    """Insert rows, and change those whose key exists already.

    Args:
        session: The transaction it happens in.
        table: The table.
        rows: With all columns that have no default in the database.
        changes: Returns the new values of an existing row by column; it is given the columns of the row
            that was to be inserted.
        where: Only existing rows for which this holds are changed.
        key: The unique columns, by which a row is found; the primary key unless given.
    """
    if rows:
        statement = _insert(session, table)
        key = key or [column.name for column in table.__table__.primary_key]
        changed = statement.on_conflict_do_update(index_elements=key, set_=changes(statement.excluded), where=where)
        session.connection().execute(changed, rows)


def among(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of any number of values.

    They travel as one parameter: with one parameter per value, SQLite refuses more than 32 766,
    and from thousands on the parameters take longer than the query itself.
    """
    condition: ColumnElement[bool]
    if is_postgresql(session):
        condition = column == func.any(cast(list(values), ARRAY(column.type)))
    else:
        value = func.json_each(json.dumps(list(values))).table_valued("value").c.value
        condition = column.in_(select(raw(value) if isinstance(column.type, HexBytes) else value))
    return condition


class raw(GenericFunction[str]):  # noqa: N801 - a function of SQL
    """An id that is kept as text, as it is kept where it is bytes; NULL if it has other characters than digits."""

    type = HexBytes()
    inherit_cache = True


class digits(GenericFunction[str]):  # noqa: N801 - as above
    """An id that is kept as bytes, as text."""

    inherit_cache = True


@compiles(raw, "sqlite")
def _raw_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"unhex({compiler.process(element.clauses, **options)})"  # of our own: see `multiblast.database.engine`


@compiles(raw, "postgresql")
def _raw_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"decode({compiler.process(element.clauses, **options)}, 'hex')"


@compiles(digits, "sqlite")
def _digits_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **options)}))"


@compiles(digits, "postgresql")
def _digits_on_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"


def in_portions(items: Iterable[_Item], size: int = 1000) -> Iterator[list[_Item]]:
    """Yield items in lists of at most ``size``, for what is done a transaction or a request at a time."""
    iterator = iter(items)
    while portion := list(islice(iterator, size)):
        yield portion


def _insert(session: Session, table: Any) -> Any:
    if is_postgresql(session):
        from sqlalchemy.dialects import postgresql  # here: where it is SQLite, its drivers are not imported

        return postgresql.insert(table)
    return sqlite.insert(table)
