"""Opening the job database: SQLite by default, PostgreSQL for many."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlmodel import Session

from multiblast.database.tables import bytes_of
from multiblast.errors import MultiblastError, NotFoundError, StoreError

_BUSY_TIMEOUT_S = 60
_BUSY_PAUSE_S = 0.05
_POOL_TIMEOUT_S = 30
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """The job database; opened, and brought to the newest schema, at first use.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://user:password@host/name``.
        migrations: Directory of the Alembic migrations that make its tables.
    """

    def __init__(self, url: str, migrations: Path = _MIGRATIONS) -> None:
        self.url = url
        self._migrations = migrations
        self._engine: Engine | None = None
        self._disposal: weakref.finalize[[], Database] | None = None
        self._opening = threading.Lock()
        self._watcher: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"Database({_read_url(self.url).render_as_string()!r})"

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, its schema up to date."""
        with self._opening:
            if self._engine is None:
                engine = _create_engine(self.url)
                try:
                    _migrate(engine, self._migrations)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
                # Services that are renewed leave the old ones to whom they serve still: nobody knows who is the last.
                self._disposal = weakref.finalize(self, engine.dispose)
                self._disposal.atexit = False  # a forked process would end its parent's connections
            return self._engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; on PostgreSQL each statement sees what was committed before it."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def read_at_once(self) -> Iterator[Session]:
        """One consistent view of the database, whatever is written meanwhile."""
        with Session(self.engine) as session:
            if self.engine.dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, committed at the end or rolled back whole.

        SQLite takes its write lock at once, so that what is read inside is still true when it is written.
        """
        opened = self.engine.connect().execution_options(immediate=True)
        with _told_when_full(self.engine), opened as connection, Session(connection) as session:
            yield session
            session.commit()
            connection.commit()

    def version(self) -> str:
        """Return a text that is another one whenever anything was written since; cheap to ask for.

        On PostgreSQL it may be another one although nothing was written here.
        """
        engine = self.engine
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                return str(connection.exec_driver_sql("SELECT pg_current_snapshot()").scalar_one())
        with self._opening:
            if self._watcher is None:  # a connection of its own, that never writes: it counts what others do
                self._watcher = sqlite3.connect(engine.url.database or "", check_same_thread=False)
            return str(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Give the connections back; the next use opens the database again."""
        with self._opening:
            if self._disposal is not None:
                self._disposal()
                self._engine = self._disposal = None
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None


@contextmanager
def _told_when_full(engine: Engine) -> Iterator[None]:
    """Say where there is no space left, if that is what ends the block."""
    try:
        yield
    except OperationalError as error:
        # The low byte: SQLite's extended codes say beside it what did not fit.
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise
        place = engine.url.render_as_string()
        raise StoreError(f"no space left for the job database {place}: free some") from error


def _read_url(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        wanted = "write sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        raise MultiblastError(f"{url.partition(':')[0]!r} is no URL of a database: {wanted}") from error


def _create_engine(url: str) -> Engine:
    parsed = _read_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=10,
            pool_timeout=_POOL_TIMEOUT_S,
            pool_recycle=1800,
            connect_args={"connect_timeout": 10, "options": "-c statement_timeout=120000"},
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    _turn_to_wal(connection)
    add_functions(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection what newer versions of SQLite have."""
    if sqlite3.sqlite_version_info < (3, 41):
        connection.create_function("unhex", 1, bytes_of, deterministic=True)


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Write ahead from now on; where several programs do that to a new file at once, SQLite lets none wait."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # The low byte: SQLite's extended codes say beside it what it is busy with.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine, migrations: Path) -> None:
    """Bring the schema to the newest version; refuse one that is newer than this program."""
    try:
        current = _version(engine)
        newest = max(migrations.glob("versions/*.py"))
        if current != newest.stem.partition("_")[0]:  # files have the names of their versions
            _upgrade(engine, migrations, current)
    except DBAPIError as error:
        url = engine.url.render_as_string()
        raise MultiblastError(
            f"cannot open the job database {url}: {error.orig}; check that it runs and the URL"
        ) from error


def _version(engine: Engine) -> str | None:
    """Return the version of a schema, as Alembic noted it."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return version


def _upgrade(engine: Engine, migrations: Path, current: str | None) -> None:
    from alembic import command  # only here: with it come templates, and a fifth of the time of a command's imports
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if current and current not in known:
        place = engine.url.render_as_string()
        remedy = f"the job database {place} was made by a newer multiblast: upgrade this one"
        raise NotFoundError("schema version", current, remedy)
    opened = engine.connect().execution_options(immediate=True)
    with opened as connection, _temporary_files(connection), connection.begin():
        config.attributes["connection"] = connection  # one transaction: Alembic would commit each version
        command.upgrade(config, "head")


@contextmanager
def _temporary_files(connection: Connection) -> Iterator[None]:
    """Let SQLite sort in files, since migrations go over all rows that there are."""
    own = connection.connection.dbapi_connection
    if not isinstance(own, sqlite3.Connection):
        yield
        return
    own.execute("PRAGMA temp_store=FILE")
    yield
    own.execute("PRAGMA temp_store=MEMORY")
