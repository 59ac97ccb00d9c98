"""Statements that SQLite and PostgreSQL spell differently, or that would outgrow one statement."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, repeat
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, cast, func, literal, select, true
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlmodel import Session

from multiblast.database.tables import HexBytes, utc_now

_Item = TypeVar("_Item")
_MANY = 50  # rows; to prepare fewer takes less than to compile their statement again

COUNTED = {"preserve_rowcount": True}
"""How to execute what inserts rows if it matters how many: the driver of PostgreSQL would forget that."""


def is_postgresql(session: Session) -> bool:
    """Whether the database is a PostgreSQL server, rather than an SQLite file."""
    return session.get_bind().dialect.name == "postgresql"


def database_now(session: Session) -> datetime:
    """Return the server's time where there is a server, since the clocks of its clients may differ."""
    if is_postgresql(session):
        now: datetime = session.connection().execute(select(func.clock_timestamp())).scalar_one()
        return now
    return utc_now()


def insert_missing(session: Session, table: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows, but for those whose key exists already, which stay as they are; return how many were inserted."""
    return _execute(session, _insert(session, table).on_conflict_do_nothing(), rows) if rows else 0


def upsert(  # noqa: PLR0913 - the parts of one SQL statement
    session: Session,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    changes: Callable[[Any], Mapping[str, Any]],
    *,
    where: ColumnElement[bool] | None = None,
    key: Sequence[str] = (),
) -> int:
    """Insert rows, and change those whose key exists already; return how many were inserted or changed.

    Args:
        session: The transaction it happens in.
        table: The table.
        rows: With all columns that have no default in the database.
        changes: Returns the new values of an existing row by column; it is given the columns of the row
            that was to be inserted.
        where: Only existing rows for which this holds are changed.
        key: The unique columns, by which a row is found; the primary key unless given.
    """
    if not rows:
        return 0
    statement = _insert(session, table)
    key = key or [column.name for column in table.__table__.primary_key]
    changed = statement.on_conflict_do_update(index_elements=key, set_=changes(statement.excluded), where=where)
    return _execute(session, changed, rows)


def take(
    session: Session,
    column: Any,
    values: Collection[Any],
    shared: Mapping[str, Any],
    *,
    where: ColumnElement[bool],
) -> set[Any]:
    """Insert a row for each of some values of a key, or change the one that there is; return for which that was done.

    Args:
        session: The transaction it happens in.
        column: The key.
        values: Different ones; their rows are locked in this order.
        shared: All other columns, the same for all.
        where: Only existing rows for which this holds are changed.
    """
    table = column.class_
    others = [literal(value, getattr(table, name).type) for name, value in shared.items()]
    # Without a condition, SQLite would take the conflict for that of a join.
    rows = select(_each(session, column, values), *others).where(true())
    statement = _insert(session, table).from_select([column.key, *shared], rows)
    changes = {name: statement.excluded[name] for name in shared}
    taken = statement.on_conflict_do_update(index_elements=[column.key], set_=changes, where=where)
    return set(session.connection().execute(taken.returning(column)).scalars().all())


def among(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that a column has one of any number of values.

    They travel as one parameter: with one parameter per value, SQLite refuses more than 32 766,
    and from thousands on the parameters take longer than the query itself.
    """
    condition: ColumnElement[bool]
    if is_postgresql(session):
        condition = column == func.any(_array(column, values))
    else:
        condition = column.in_(select(_each(session, column, values)))
    return condition


def _each(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[Any]:
    """Return what makes one row for each value of a column."""
    if is_postgresql(session):
        return func.unnest(_array(column, values), type_=column.type)
    if not isinstance(column.type, HexBytes):
        value: ColumnElement[Any] = func.json_each(json.dumps(list(values))).table_valued("value").c.value
        return value
    size, ids = column.type.size_bytes, column.type.packed(values)
    place = func.json_each(f"[{'0,' * (len(ids) // size - 1)}0]" if ids else "[]").table_valued("key").c.key
    return func.substr(literal(ids, LargeBinary), place * size + 1, size, type_=column.type)


def _array(column: Any, values: Collection[Any]) -> ColumnElement[Any]:
    return cast(list(values), ARRAY(column.type))


class raw(GenericFunction[str]):  # noqa: N801 - a function of SQL
    """An id that is kept as text, as it is kept where it is bytes; NULL if it has other characters than digits."""

    type = HexBytes()
    inherit_cache = True


class digits(GenericFunction[str]):  # noqa: N801 - as above
    """An id that is kept as bytes, as text."""

    inherit_cache = True


@compiles(raw, "sqlite")
def _raw_on_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"unhex({compiler.process(element.clauses, **options)})"  # may be ours: see `multiblast.database.engine`


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


def _execute(session: Session, statement: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows, all with the same columns; return how many were inserted or changed.

    Many go to the driver as they are, column by column: row by row, as SQLAlchemy prepares them, takes several times
    as long as the database does.
    """
    connection, dialect = session.connection(), session.get_bind().dialect
    compiled = statement.compile(dialect=dialect, column_keys=list(rows[0])) if len(rows) >= _MANY else None
    if compiled is None or compiled.insert_prefetch:  # few, or there are columns whose defaults are not the database's
        return connection.execute(statement, rows, execution_options=COUNTED).rowcount
    columns = {}
    for name, value in compiled.params.items():
        process = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        found = map(itemgetter(name), rows) if name in rows[0] else repeat(value, len(rows))
        columns[name] = map(process, found) if process else found
    if compiled.positional:
        values: Any = list(zip(*map(columns.__getitem__, compiled.positiontup), strict=True))
    else:
        values = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return connection.exec_driver_sql(compiled.string, values, execution_options=COUNTED).rowcount


def _insert(session: Session, table: Any) -> Any:
    if is_postgresql(session):
        from sqlalchemy.dialects import postgresql  # here: where it is SQLite, its drivers are not imported

        return postgresql.insert(table)
    return sqlite.insert(table)
