"""A registry in a database and a store: the local one, or another multiblast's."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from semver import Version
from sqlalchemy import ColumnElement, Engine, and_, func, insert, make_url, or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel, col, select

from multiblast.database import Database, among, is_postgresql, utc_now
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, ObjectMissingError
from multiblast.files import make_private
from multiblast.registry.local.files import Checksums, Files
from multiblast.registry.local.secrets import split_password
from multiblast.registry.model.kinds import KINDS, Kind, ListField
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.rows import ROWS, Creation, DataProductRow, Fields, FileLocation, Id, Row, RowT
from multiblast.registry.model.tables import DataProduct, Namespace, NumberedTable, Object, StorageLocation, StorageRoot
from multiblast.settings import home
from multiblast.stores import LocalStore, Store

_WRITERS = 0x666169722D726567  # "fair-reg": the number of their lock, in each database
MIGRATIONS = Path(__file__).parents[1] / "migrations"


class _OwnDatabase(Database):
    """A database whose file, if it is one, only its owner can read: what is private stands in it."""

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine: see `Database.engine`."""
        path = make_url(self.url).database
        if self._engine is None and self.url.startswith("sqlite:") and path not in {None, "", ":memory:"}:
            file = Path(str(path))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(0o600)
            if file.stat().st_uid == os.geteuid():
                file.chmod(0o600)
        return super().engine


def open_database(url: str, *, own: bool = False) -> Database:
    """Return the registry database at a URL; it is opened, and made if need be, at first use.

    ``own``: it is of this installation, and nobody else reads its file.
    """
    return (_OwnDatabase if own else Database)(url, MIGRATIONS)


class Registry:
    """Rows in a database, files in a store.

    Args:
        database: From `open_database`.
        store: Where files are kept.
        directory: For runs, tokens and unfinished downloads; it is made when first needed.
        own: Whether it is the one of this installation, whose files nobody else may read.
    """

    shares_objects = False
    requests = 0
    warning = ""

    def __init__(self, database: Database, store: Store, directory: Path, *, own: bool = False) -> None:
        self.database, self.directory = database, directory
        self.files = Files(store, self.session, self.writing)
        self.data_root = self.files.root
        self._current = threading.local()
        self._private = [directory] if own else []
        if own and isinstance(store, LocalStore):
            self._private.append(store.root / "files")

    @classmethod
    def embedded(cls) -> Registry:
        """Return the registry that needs nothing but a directory: SQLite and files under `settings.home`."""
        base = home()
        return cls(
            open_database(f"sqlite:///{base / 'registry.sqlite'}", own=True),
            LocalStore(base / "store"),
            base / "registry",
            own=True,
        )

    @property
    def name(self) -> str:
        """The database's URL, without its password."""
        return self.database.engine.url.render_as_string()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password of the database."""
        password = split_password(self.database.url)[1]
        return (password,) if password else ()

    @property
    def refused(self) -> Mapping[Id, str]:
        """Nothing: rows of this machine are taken as they are."""
        return {}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what this thread creates inside whole or not at all; an inner one belongs to the outer."""
        if getattr(self._current, "session", None) is not None:
            yield
            return
        while self._private:
            make_private(self._private.pop())
        with self.database.write() as session:
            if is_postgresql(session):
                # One writes at a time, as on SQLite: what is not there is not made by others meanwhile, and rows can be
                # seen in the order of their numbers, by which a pull finds what is new.
                session.execute(select(func.pg_advisory_xact_lock(_WRITERS)))
            self._current.session = session
            try:
                yield
            finally:
                self._current.session = None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The session of this thread's transaction, or one to read with."""
        current: Session | None = getattr(self._current, "session", None)
        if current is not None:
            yield current
        else:
            with self.database.read() as session:
                yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The session of this thread's transaction, which is begun if need be."""
        with self.transaction(), self.session() as session:
            yield session

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by reference: see `Endpoint.read`."""
        wanted = {int(reference) for reference in references}
        rows = self.read_present(kind, wanted)
        if len(rows) < len(wanted):
            missing = set(wanted) - {int(row.reference) for row in rows}
            raise NotFoundError(kind.kind, str(min(missing)), "it was deleted meanwhile")
        return rows

    def read_present(self, kind: type[RowT], numbers: Iterable[int]) -> list[RowT]:
        """Return those of some rows that are there, in the order of their numbers."""
        model: Any = KINDS[kind.kind].model
        with self.session() as session:
            query = select(model).where(among(session, model.id, sorted(numbers))).order_by(model.id)
            return _rows(session, kind, session.exec(query).all())

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows that refer to others: see `Endpoint.details`."""
        described = KINDS[kind.kind]
        model: Any = described.model
        ids = [int(row.reference) for row in rows]
        condition: ColumnElement[bool]
        with self.session() as session:
            if link := described.lists.get(field_name):
                referring = among(session, link.table.c[link.other_column], ids)
                condition = col(model.id).in_(select(link.table.c[link.own_column]).where(referring))
            else:
                condition = among(session, getattr(model, f"{field_name}_id"), ids)
            return _rows(session, kind, session.exec(select(model).where(condition).order_by(model.id)).all())

    def find(self, kind: type[RowT], many: Sequence[Fields]) -> list[RowT | None]:
        """Look rows up by what identifies them: see `Endpoint.find`."""
        with self.session() as session:
            return [self._find(session, kind, fields) for fields in many]

    def _find(self, session: Session, row: type[RowT], fields: Fields) -> RowT | None:
        kind = KINDS[row.kind]
        key = kind.key_of(fields)
        if not key:
            return None
        model: Any = kind.model
        found = session.exec(select(model).where(and_(*(_equals(kind, name, fields[name]) for name in key)))).first()
        return None if found is None else _rows(session, row, [found])[0]

    def create(self, kind: str, many: Sequence[Fields]) -> list[Creation]:
        """Make rows, or find those that exist already: see `Endpoint.create`."""
        with self.writing() as session:
            return [self._create(session, KINDS[kind], fields) for fields in many]

    def _create(self, session: Session, kind: Kind, fields: Fields) -> Creation:
        if (before := self._find(session, ROWS[kind.name], fields)) is not None:
            self._complete(session, kind, before, fields)
            return Creation(before)
        try:
            with session.begin_nested():
                made = self.insert(session, kind.name, fields)
        except (IntegrityError, InvalidInputError) as error:
            reason = error.orig if isinstance(error, IntegrityError) else error
            return Creation(None, error=ConflictError(f"{kind.name} cannot be recorded: {reason}"))
        return Creation(_rows(session, ROWS[kind.name], [made])[0], new=True)

    def insert(self, session: Session, kind: str, fields: Fields) -> Any:
        """Add one row and its lists to an open session.

        Raises:
            InvalidInputError: a version that is not semver.
            IntegrityError: a constraint of the data model.
        """
        described = KINDS[kind]
        values: dict[str, Any] = {name: fields[name] for name in described.plain if fields.get(name) is not None}
        if kind == "external_object" and not values.get("version"):
            product = session.get_one(DataProduct, int(fields["data_product"]))
            values["version"] = product.version
        if "version" in values and not Version.is_valid(values["version"]):
            raise InvalidInputError(f"{values['version']!r} is no semantic version: write three numbers, as in 1.0.0")
        if kind == "storage_root":  # whatever others say of theirs
            values["local"] = values["root"] == self.data_root
        values |= {f"{name}_id": int(fields[name]) for name in described.references if fields.get(name)}
        row: Any = described.model(**values)
        session.add(row)
        session.flush()
        for name, listed in described.lists.items():
            for reference in dict.fromkeys(fields.get(name) or ()):
                _link(session, listed, row.id, reference)
        return row

    @staticmethod
    def _complete(session: Session, kind: Kind, row: Row, fields: Fields) -> None:
        """Add to a row's lists what they lack; a list that grew elsewhere grows here."""
        for name, listed in kind.lists.items():
            for reference in set(fields.get(name) or ()) - set(row.field(name)):
                _link(session, listed, row.reference, reference)
                row.field(name).append(reference)

    def products(self, namespace: str, patterns: Sequence[str]) -> list[DataProductRow]:
        """Return data products of a namespace by name: see `Endpoint.products`."""
        query = select(DataProduct).join(Namespace).where(Namespace.name == namespace)
        query = query.where(or_(*(col(DataProduct.name).like(like_pattern(one), escape="\\") for one in patterns)))
        with self.session() as session:
            return _rows(session, DataProductRow, session.exec(query.order_by(col(DataProduct.id))).all())

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return the first object of each location: see `Endpoint.objects_at`."""
        wanted = [int(location) for location in locations]
        query = select(Object.storage_location_id, func.min(Object.id)).group_by(col(Object.storage_location_id))
        with self.session() as session:
            query = query.where(among(session, col(Object.storage_location_id), wanted))
            return {str(location): str(item) for location, item in session.exec(query)}

    def holding(self, hashes: Iterable[str]) -> dict[str, FileLocation]:
        """Return where files are that are public here, by hash: see `Endpoint.holding`."""
        kept = self.files.holding(hashes)
        query = select(StorageLocation.hash).where(col(StorageLocation.public))
        with self.session() as session:
            shown = session.exec(query.where(among(session, col(StorageLocation.hash), list(kept)))).all()
        return {sha1: FileLocation(self.data_root, self.path_of(kept[sha1]), sha1) for sha1 in shown}

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind: see `Endpoint.newest`."""
        model: Any = KINDS[kind].model
        with self.session() as session:
            return session.exec(select(func.max(model.id))).one() or 0

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return the rows of a kind that are newer than a number: see `Endpoint.since`."""
        model: Any = KINDS[kind.kind].model
        with self.session() as session:
            return _rows(session, kind, session.exec(select(model).where(model.id > number)).all())

    def own_roots(self) -> set[str]:
        """Return the root of its files: see `Endpoint.own_roots`."""
        return {self.data_root}

    def size(self, location: FileLocation) -> int:
        """Return a file's length in bytes: see `Endpoint.size`."""
        kept = self.files.get(location.sha1)
        if kept is None or not self.files.present(kept):
            raise ObjectMissingError(location.sha1)
        return kept.size_bytes

    def download(self, location: FileLocation, part: Path) -> None:
        """Write a file behind what is there of it: see `Endpoint.download`."""
        done = part.stat().st_size if part.exists() else 0
        with self.files.open(location.sha1, done) as source, part.open("ab") as target:
            shutil.copyfileobj(source, target, 1 << 20)

    def upload(self, kept: StoredFile, content: Callable[[], Iterator[bytes]]) -> bool:
        """Keep a file under its content: see `Endpoint.upload`."""
        self.files.keep_stream(content(), Checksums(kept.sha1, kept.sha256, kept.size_bytes))
        return True

    def check_upload(self, sha1: str) -> bool:
        """Read a content again: see `Endpoint.check_upload`."""
        self.files.verify(sha1)
        return True

    def close(self) -> None:
        """Give the database's connections back: see `Endpoint.close`."""
        self.database.close()

    def path_of(self, kept: StoredFile) -> str:
        """Return the store key of a content: see `Endpoint.path_of`."""
        return self.files.key(kept.sha256)

    def local_location(self, session: Session, sha1: str, *, public: bool) -> int:
        """Return the location of a content that is here, which is made if need be."""
        kept = session.get(StoredFile, sha1)
        if kept is None:
            raise ObjectMissingError(sha1)
        root = number_of(session, StorageRoot(root=self.data_root, local=True), "root")
        place = StorageLocation(path=self.path_of(kept), hash=sha1, public=public, storage_root_id=root)
        return number_of(session, place, "storage_root_id", "hash", "public")

    def adopt(self, hashes: Iterable[str]) -> None:
        """Let every object whose content is here now point to it, and no longer to where it came from."""
        with self.writing() as session:
            for sha1 in set(hashes):
                elsewhere = session.exec(
                    select(Object, StorageLocation)
                    .join(StorageLocation)
                    .join(StorageRoot)
                    .where(StorageLocation.hash == sha1, StorageRoot.local == False)  # noqa: E712 - SQL
                ).all()
                for item, location in elsewhere:
                    item.storage_location_id = self.local_location(session, sha1, public=location.public)
                    item.last_updated = utc_now()
                    session.add(item)


def number_of(session: Session, row: NumberedTable, *key: str) -> int:
    """Return the number of the first row that has the same key, or of this one, which is made then."""
    table: Any = type(row)
    same = [getattr(table, name) == getattr(row, name) for name in key]
    found = session.exec(select(table).where(*same).order_by(table.id)).first()
    if found is None:
        found = row
        session.add(row)
        session.flush()
    return cast("int", found.id)


def _link(session: Session, listed: ListField, own: str, other: str) -> None:
    session.execute(insert(listed.table).values({listed.own_column: int(own), listed.other_column: int(other)}))


def like_pattern(pattern: str) -> str:
    """Return what SQL's LIKE wants for a pattern in which ``*`` stands for anything; it escapes with a backslash."""
    literal = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal.replace("*", "%")


def _equals(kind: Kind, name: str, value: Any) -> ColumnElement[bool]:
    column, value = (f"{name}_id", int(value)) if name in kind.references else (name, value)
    return cast("ColumnElement[bool]", getattr(kind.model, column) == value)


def plain_rows(session: Session, kind: Kind, found: Sequence[SQLModel]) -> dict[int, dict[str, Any]]:
    """Return what registries exchange of table rows, by number; references are the numbers, as text."""
    values: dict[int, dict[str, Any]] = {
        item.id: {name: getattr(item, name) for name in kind.plain}
        | {name: str(number) if (number := getattr(item, f"{name}_id")) else None for name in kind.references}
        | {name: [] for name in kind.lists}
        for item in cast("Sequence[Any]", found)
    }
    for name, listed in kind.lists.items():
        own, other = listed.table.c[listed.own_column], listed.table.c[listed.other_column]
        query = select(own, other).where(among(session, own, list(values))).order_by(own, other)
        for own_id, other_id in session.exec(query):
            values[own_id][name].append(str(other_id))
    return values


def _rows(session: Session, row: type[RowT], found: Sequence[SQLModel]) -> list[RowT]:
    """Turn table rows into rows as registries exchange them."""
    values = plain_rows(session, KINDS[row.kind], found)
    return [row.own({"reference": str(number), **fields}) for number, fields in values.items()]
