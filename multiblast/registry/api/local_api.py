"""The local registry through the REST API of FAIR's data-registry: lists, rows, creation, changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from sqlalchemy import delete, func, insert
from sqlmodel import Session, col, select

from multiblast.database import among
from multiblast.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, Problem
from multiblast.registry.api.fields import (
    API_KINDS,
    USER_AUTHOR,
    USERS,
    back_references,
    condition,
    describe_fields,
    is_single,
    read_fields,
    read_list,
)
from multiblast.registry.api.locations import ClientLocations
from multiblast.registry.local.registry import Registry, plain_rows
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.local.unfinished import UnfinishedRun
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.model.kinds import KINDS, Kind
from multiblast.registry.model.local_tables import RemoteCopy, Staged
from multiblast.registry.model.rows import ROWS, write_time
from multiblast.registry.model.tables import ComponentIssue, StorageRoot

_PAGE = 100
_LARGEST_PAGE = 1000
_CONTROLS = {"cursor", "format", "ordering", "page_size"}  # of a query, beside filters
_ADMIN = "admin"  # the user's name in every language API, whoever it is


class LocalApi:
    """What a client of the REST API may do with the local registry, for one of its users.

    Args:
        registry: The local one.
        user: Who is recorded; language APIs call them ``admin``.
        data_store: The directory in which working copies are; where a run's files are by default.
        copies: The path in the data store of each working copy, by SHA-1: what clients are shown in place of the
            registry's own file, whose name has no extension, and which may be in no directory at all.

    Attributes:
        locations: What clients recorded of files.
        refusals: What was refused, and why, for whoever looks into why a script failed.
        unfinished: The list of what clients make, of a run that is undone if it fails.
    """

    def __init__(
        self, registry: Registry, user: RegistryUser, data_store: str = "", copies: Mapping[str, Path] | None = None
    ) -> None:
        self.registry, self.username = registry, user.username
        self.locations = ClientLocations(registry)
        self.refusals: list[str] = []
        self._data_store = (data_store or user.data_store).removeprefix("file://").rstrip("/") + "/"
        self._copies = dict(copies or {})
        self.unfinished: UnfinishedRun | None = None

    @property
    def token(self) -> str:
        """What a client that changes something must send."""
        return Secrets(self.registry.directory).get(f"user {self.username}")

    @staticmethod
    def addresses(base: str) -> dict[str, str]:
        """Return the address of each kind of row, below that of the API."""
        return {name: f"{base}{name}/" for name in API_KINDS}

    @staticmethod
    def describe(name: str) -> dict[str, Any]:
        """Return the answer to OPTIONS: the fields of a kind, and those to ask by."""
        kind = _kind(name)
        return {
            "name": f"{name.replace('_', ' ').title()} List",
            "description": "",
            "renders": ["application/json"],
            "parses": ["application/json"],
            "actions": {} if kind is USERS else {"POST": describe_fields(kind)},
            "filter_fields": list(kind.fields),
        }

    def rows(self, name: str, query: Iterable[tuple[str, str]], base: str) -> dict[str, Any]:
        """Return a page of the rows that fit a query, the newest first.

        Raises:
            InvalidInputError: a filter that there is not, or a value that can be none.
        """
        kind = _kind(name)
        asked: dict[str, list[str]] = {}
        for key, text in query:
            if text != "":  # an empty one is none, as with the data-registry
                asked.setdefault(key, []).append(text)
        model: Any = kind.model
        with self.registry.session() as session:
            conditions = [
                condition(kind, key, self._named(kind, texts))
                for key, texts in asked.items()
                if key not in _CONTROLS | back_references(kind).keys()
            ]
            count = session.exec(select(func.count(model.id)).where(*conditions)).one()
            size = min(_whole(asked, "page_size", _PAGE), _LARGEST_PAGE)
            if "cursor" in asked:
                conditions.append(model.id < _whole(asked, "cursor", 0))
            found = session.exec(select(model).where(*conditions).order_by(model.id.desc()).limit(size + 1)).all()
            results = self._shown(session, kind, found[:size], base)
        following = None
        if len(found) > size:
            kept = {key: texts for key, texts in asked.items() if key != "cursor"} | {
                "cursor": [str(found[size - 1].id)]
            }
            following = f"{base}{name}/?{urlencode(kept, doseq=True)}"
        return {"count": count, "next": following, "previous": None, "results": results}

    def row(self, name: str, number: int, base: str) -> dict[str, Any]:
        """Return one row.

        Raises:
            NotFoundError: there is none of this number.
        """
        kind = _kind(name)
        with self.registry.session() as session:
            return self._shown(session, kind, [_row(session, kind, number)], base)[0]

    def create(self, name: str, body: Mapping[str, Any], base: str) -> dict[str, Any]:
        """Make a row, and return it.

        Raises:
            InvalidInputError: with every field that is wrong or missing.
            ConflictError: it exists.
        """
        kind = _kind(name)
        if name == USER_AUTHOR.name:
            raise ConflictError("Every user of this registry is an author: the field user must be unique.")
        if name not in KINDS:
            raise NotAllowedError(f"{name} are made with `multiblast registry config` only")
        fields = read_fields(kind, body)
        issues = read_list(body.get("issues"), "issues", "issue") if name == "object_component" else []
        with self.registry.session() as session:
            _check_references(session, kind, fields)
            _check_there(session, KINDS["issue"], issues, "issues")
        number = 0
        if name == "storage_location":
            place = fields["storage_root"], fields["path"], fields["hash"]
            number = self.locations.record(*place, public=fields.get("public", True), run=self.unfinished) or 0
        if not number:
            number = self._create(name, fields, issues)
        return self.row(name, number, base)

    def _create(self, name: str, fields: dict[str, Any], issues: Sequence[str]) -> int:
        with self.registry.writing() as session:
            if self.registry.find(ROWS[name], [fields])[0] is not None:
                raise ConflictError(f"There is such a {name}: its fields must be unique.")
            (made,) = self.registry.create(name, [fields])
            if made.row is None:
                raise made.error or ConflictError(name)
            number = int(made.row.reference)
            if name == "storage_root":  # clients ask by what they said
                session.get_one(StorageRoot, number).local = fields["root"].startswith("file://")
            for issue in dict.fromkeys(issues):
                session.execute(insert(ComponentIssue).values(issue_id=int(issue), object_component_id=number))
            if self.unfinished:
                self.unfinished.note_row(session, name, number)
        return number

    def change(self, name: str, number: int, body: Mapping[str, Any], base: str) -> dict[str, Any]:
        """Replace the inputs and outputs of a code run, and return it.

        Raises:
            InvalidInputError: something else is to be changed.
            ConflictError: the run is at a remote registry, too.
        """
        kind = _kind(name)
        if name != "code_run":
            raise NotAllowedError("what is recorded stays as it is, except inputs and outputs of code runs")
        if wrong := [key for key in body if key in kind.fields and key not in kind.lists]:
            raise InvalidInputError([Problem("This field cannot be changed.", key) for key in wrong])
        lists = {key: read_list(body[key], key, kind.lists[key].kind) for key in kind.lists if key in body}
        with self.registry.writing() as session:
            _row(session, kind, number)
            _refuse_exchanged(session, name, number)
            for key, references in lists.items():
                listed = kind.lists[key]
                _check_there(session, KINDS[listed.kind], references, key)
                own = listed.table.c[listed.own_column]
                session.execute(delete(listed.table).where(own == number))
                for reference in dict.fromkeys(references):
                    values = {listed.own_column: number, listed.other_column: int(reference)}
                    session.execute(insert(listed.table).values(values))
        return self.row(name, number, base)

    def remove(self, name: str, number: int) -> None:
        """Remove a code run.

        Raises:
            ConflictError: it is at a remote registry, too.
        """
        kind = _kind(name)
        if name != "code_run":
            raise NotAllowedError("only a code run can be removed: use `multiblast registry delete`")
        with self.registry.writing() as session:
            row = _row(session, kind, number)
            _refuse_exchanged(session, name, number)
            session.execute(delete(Staged).where(col(Staged.kind) == name, col(Staged.row_id) == number))
            session.delete(row)

    def _named(self, kind: Kind, texts: list[str]) -> list[str]:
        """Return what a query says, with the user's own name in place of that which clients know."""
        return [self.username if text == _ADMIN else text for text in texts] if kind is USERS else texts

    def _shown(self, session: Session, kind: Kind, found: Sequence[Any], base: str) -> list[dict[str, Any]]:
        """Return rows as clients see them: references are URLs."""

        def address(target: str, reference: str | int | None) -> str | None:
            return f"{base}{target}/{reference}/" if reference else None

        if not found:
            return []
        values = plain_rows(session, kind, found)
        back = {name: _referring(session, place, list(values)) for name, place in back_references(kind).items()}
        answers: list[dict[str, Any]] = []
        for item in found:
            fields = values[item.id]
            answer: dict[str, Any] = {"url": address(kind.name, item.id)}
            if kind is not USERS:
                answer["last_updated"] = write_time(item.last_updated)
            for name in kind.plain:
                value = fields[name]
                answer[name] = write_time(value) if hasattr(value, "tzinfo") else value
            for name, target in kind.references.items():
                answer[name] = address(target, fields[name])
            for name, listed in kind.lists.items():
                answer[name] = [address(listed.kind, reference) for reference in fields[name]]
            for name, place in back_references(kind).items():
                referring = [address(place.partition(".")[0], number) for number in back[name].get(item.id, [])]
                answer[name] = next(iter(referring), None) if is_single(place) else referring
            if kind.name == "storage_location" and item.hash in self._copies and (root := self._root(session)):
                answer |= {"path": str(self._copies[item.hash]), "storage_root": address("storage_root", root)}
            answers.append(answer)
        return answers

    def _root(self, session: Session) -> int | None:
        """Return the storage root of the data store, once a client has recorded it, as all do first."""
        query = select(StorageRoot.id).where(StorageRoot.root == f"file://{self._data_store}")
        return session.exec(query).first()


def _kind(name: str) -> Kind:
    try:
        return API_KINDS[name]
    except KeyError:
        raise NotFoundError("kind of row", name[:60], f"there is {', '.join(API_KINDS)}") from None


def _row(session: Session, kind: Kind, number: int) -> Any:
    found = session.get(kind.model, number)
    if found is None:
        raise NotFoundError(kind.name, str(number))
    return found


def _whole(asked: Mapping[str, list[str]], key: str, default: int) -> int:
    text = asked.get(key, [str(default)])[-1]
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and (int(text) or key == "cursor")):  # noqa: PLR2004 - digits of 64 bits
        raise InvalidInputError(Problem("A whole number is needed here.", key))
    return int(text)


def _check_references(session: Session, kind: Kind, fields: Mapping[str, Any]) -> None:
    for name, target in kind.references.items():
        if fields.get(name):
            _check_there(session, API_KINDS[target], [fields[name]], name)
    for name, listed in kind.lists.items():
        _check_there(session, API_KINDS[listed.kind], fields.get(name) or (), name)


def _check_there(session: Session, kind: Kind, references: Iterable[str], name: str) -> None:
    """Refuse references to rows that are not there."""
    wanted = {int(reference) for reference in references}
    model: Any = kind.model
    there = set(session.exec(select(model.id).where(among(session, model.id, wanted)))) if wanted else set()
    if missing := wanted - there:
        raise InvalidInputError(Problem(f"Invalid hyperlink: there is no {kind.name} {min(missing)}.", name))


def _refuse_exchanged(session: Session, name: str, number: int) -> None:
    """Refuse to change what other registries have."""
    query = select(RemoteCopy.remote).where(RemoteCopy.kind == name, RemoteCopy.row_id == number)
    if remote := session.exec(query).first():
        raise ConflictError(f"{name} {number} is at {remote} too, and stays as it is")


def _referring(session: Session, place: str, numbers: list[int]) -> dict[int, list[int]]:
    """Return which rows refer to some, by the number of the latter, each in order."""
    other, _, name = place.partition(".")
    described = KINDS[other]
    if link := described.lists.get(name):
        own, target = link.table.c[link.own_column], link.table.c[link.other_column]
    else:
        table = cast("Any", described.model).__table__
        own, target = table.c.id, table.c[f"{name}_id"]
    found: dict[int, list[int]] = {}
    for number, owner in session.execute(select(own, target).where(among(session, target, numbers)).order_by(own)):
        found.setdefault(owner, []).append(number)
    return found
