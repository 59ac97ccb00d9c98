"""A FAIR data registry over its REST API, as `Endpoint`."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotFoundError, StoreError
from multiblast.files import hashed
from multiblast.registry.local.files import checksums
from multiblast.registry.local.secrets import split_password
from multiblast.registry.model.kinds import BACK_REFERENCES, KINDS, Kind
from multiblast.registry.model.rows import (
    ROWS,
    Creation,
    DataProductRow,
    Fields,
    FileLocation,
    Id,
    NamespaceRow,
    ObjectRow,
    Row,
    RowT,
    StorageLocationRow,
    StorageRootRow,
    write_time,
)
from multiblast.registry.model.tables import StoredFile
from multiblast.registry.remotes.answers import (
    InvalidRowError,
    Page,
    SignedLink,
    number_of,
    parse_answer,
    parse_json,
    parse_row,
    read_length,
    row_id,
)
from multiblast.registry.remotes.connection import Connection, RetryPolicy, printable

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_FEW = 4  # as many rows are requested one by one before a whole page is
_SMALLEST_PAGE, _LARGEST_PAGE = 100, 500  # rows; a server takes seconds for a thousand
_MOST_PAGES = 2000  # of one list


class RestRegistry:
    """A FAIR data registry; a row's reference is its URL.

    Args:
        url: Of the site, or of its API.
        token: To write with; reading needs none.
        limits: How patient to be, and how much to do at once.
    """

    shares_objects = True  # the server finds the file of a content only while one object has it

    def __init__(self, url: str, token: str = "", limits: RetryPolicy | None = None) -> None:
        url, password = split_password(url)
        self.site = url.rstrip("/").removesuffix("/api") + "/"
        self.name, self.data_root = self.site, self.site + "data/"
        self.secrets = tuple(secret for secret in (token, password) if secret)
        self.connection = Connection(self.site + "api/", token, limits, password)
        self._refused: dict[Id, str] = {}
        self._base = self.connection.base
        self._pool = ThreadPoolExecutor(self.connection.limits.at_once, thread_name_prefix="registry")
        self._here = threading.local()
        self._namespaces: dict[str, str] = {}
        self._noting = threading.Lock()
        self._roots: set[str] = set()

    @property
    def refused(self) -> Mapping[Id, str]:
        """What the server sent and is no row: see `Endpoint.refused`."""
        return self._refused

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.connection.requests

    @property
    def warning(self) -> str:
        """What to report of the clocks."""
        return self.connection.clock_warning

    def close(self) -> None:
        """Give connections and threads back."""
        self._pool.shutdown(cancel_futures=True)
        self.connection.close()

    def together(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT]:
        """Do something with many items, some at once; return what came of it in their order.

        What is done in such work is done one after the other: else its threads could all wait for each other.
        """
        if getattr(self._here, "together", False):
            return list(map(work, items))

        def alone(item: ItemT) -> ResultT:
            self._here.together = True
            return work(item)

        return list(self._pool.map(alone, items))

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by URL: see `Endpoint.read`.

        Many are taken from pages of the whole list, as long as that is fewer requests.
        """
        wanted = {_number(reference) for reference in references}
        rows: list[RowT | None] = []
        if len(wanted) > _FEW:
            for items, left in self._pages(kind, len(wanted)):
                for item in items:
                    if (number := self._number_of(kind, item)) in wanted:
                        wanted.discard(number)
                        rows.append(self._taken(kind, item))
                if len(wanted) <= _FEW or left > len(wanted):
                    break
        rows += self.together(lambda number: self._one(kind, number), wanted)
        return [row for row in rows if row]

    def _one(self, kind: type[RowT], number: int) -> RowT | None:
        reference = f"{self._base}{kind.kind}/{number}/"
        try:
            row = self._taken(kind, self.connection.get(reference), reference)
        except NotFoundError as error:
            self._note((kind.kind, reference), str(error))
            return None
        if row is not None and row.reference != reference:
            self._note((kind.kind, reference), f"{reference} answered with {row.reference}")
            return None
        return row

    def _taken(self, kind: type[RowT], item: Any, reference: str = "") -> RowT | None:
        """Return what was sent as a row; None if it is none, which is noted."""
        try:
            return parse_row(kind, item, self._base)
        except InvalidRowError as error:
            if known := (kind.kind, reference) if reference else row_id(kind.kind, item, self._base):
                self._note(known, str(error))
            return None

    def _note(self, row: Id, reason: str) -> None:
        with self._noting:
            self._refused.setdefault(row, reason)

    def _number_of(self, kind: type[Row], item: Mapping[str, Any]) -> int:
        known = row_id(kind.kind, item, self._base)
        return _number(known[1]) if known else 0

    def _pages(
        self, kind: type[Row], rows: int, filters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[list[dict[str, Any]], int]]:
        """Yield pages as they came, the newest rows first, each with the number of pages that follow.

        Raises:
            StoreError: they lead elsewhere, or have no end.
        """
        size = min(max(2 * rows, _SMALLEST_PAGE), _LARGEST_PAGE)
        path = f"{kind.kind}/"
        query: dict[str, Any] | None = {**(filters or {}), "page_size": size}
        seen: set[int] = set()
        for number in range(1, _MOST_PAGES):
            page = parse_answer(Page, self.connection.get(path, query), self.site)
            yield page.results, max(0, -(-page.count // size) - number)
            if page.next is None:
                return
            fresh = {self._number_of(kind, item) for item in page.results} - seen
            following = urlsplit(page.next)
            if not fresh or not following.path.endswith(f"/api/{kind.kind}/"):
                raise StoreError(f"{self.site} lists its rows of kind {kind.kind} without an end, or elsewhere")
            seen |= fresh
            path, query = f"{kind.kind}/?{following.query}", None
        raise StoreError(f"{self.site} lists more than {_MOST_PAGES:,} pages of kind {kind.kind}")

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows that refer to others: see `Endpoint.details`."""
        place = f"{kind.kind}.{field_name}"
        if not rows:
            return []
        if place in BACK_REFERENCES.get(rows[0].kind, {}).values():
            return self.read(kind, {reference for row in rows for reference in row.details[place]})
        return self._referring(kind, field_name, {row.reference for row in rows})

    def _referring(self, kind: type[RowT], field_name: str, owners: set[str]) -> list[RowT]:
        """Return the rows of a kind that refer to one of some rows."""
        found: list[RowT | None] = []
        numbers = {_number(owner) for owner in owners}
        if len(owners) > _FEW:
            for items, left in self._pages(kind, len(owners)):
                found += [self._taken(kind, item) for item in items if numbers & _numbers(item.get(field_name))]
                if left == 0:
                    return [row for row in found if row]
                if left > len(owners):
                    break
        one_by_one = self.together(lambda owner: self._list(kind, {field_name: owner}), numbers)
        rows = {row.reference: row for some in one_by_one for row in some}
        return [row for row in rows.values() if owners & _references(row.field(field_name))]

    def _list(self, kind: type[RowT], filters: Mapping[str, Any]) -> list[RowT]:
        pages = self._pages(kind, _LARGEST_PAGE, filters)
        return [row for items, _ in pages for item in items if (row := self._taken(kind, item))]

    def find(self, kind: type[RowT], many: Sequence[Fields]) -> list[RowT | None]:
        """Look rows up by what identifies them, many of them in pages: see `Endpoint.find`."""
        sought = [_sought(KINDS[kind.kind], fields) for fields in many]
        found: dict[Sought, RowT | None] = {(): None}
        missing = {one for one in sought if one}
        if len(missing) > _FEW:
            common = dict(set.intersection(*(set(one) for one in missing)))
            names = {tuple(name for name, _ in one) for one in missing}
            for items, left in self._pages(kind, len(missing), common):
                for item in items:
                    for known in {_described(kind, item, some) for some in names} & missing:
                        found[known] = self._taken(kind, item)
                missing -= found.keys()
                if left == 0:
                    missing.clear()
                if len(missing) <= _FEW or left > len(missing):
                    break
        single = list(missing)
        found |= dict(zip(single, self.together(lambda one: self._find(kind, one), single), strict=True))
        return [found.get(one) for one in sought]

    def _find(self, kind: type[RowT], one: Sought) -> RowT | None:
        # Compared once more with what was meant: a name's filter is a pattern there.
        described, names = KINDS[kind.kind], tuple(name for name, _ in one)
        found = [row for row in self._list(kind, dict(one)) if _values(described, row.fields, names) == one]
        return found[-1] if found else None  # the oldest

    def _find_fields(self, kind: type[RowT], fields: Fields) -> RowT | None:
        (found,) = self.find(kind, [fields])
        return found

    def holding(self, hashes: Iterable[str]) -> dict[str, FileLocation]:
        """Return where this registry itself keeps files, by hash: see `Endpoint.holding`."""
        root = self._own_root({"root": self.data_root})
        wanted = list(set(hashes))
        if root is None or not wanted:
            return {}
        own = {"storage_root": root.reference}
        found = self.find(StorageLocationRow, [{**own, "hash": sha1, "public": True} for sha1 in wanted])
        return {row.hash: FileLocation(root.root, row.path, row.hash) for row in found if row}

    def create(self, kind: str, many: Sequence[Fields]) -> list[Creation]:
        """Make rows, or find those that exist already: see `Endpoint.create`."""
        described = KINDS[kind]
        if any(fields.get(name) for fields in many for name in described.lists):
            # One at a time: over SQLite the server may fail between a row and its lists, and keep half of it.
            return [self._create(described, fields) for fields in many]
        return self.together(lambda fields: self._create(described, fields), many)

    def _create(self, kind: Kind, fields: Fields) -> Creation:
        row = ROWS[kind.name]
        try:
            # Nothing at the server keeps it from having one licence twice.
            if kind.name == "licence" and (before := self._find_fields(row, fields)) is not None:
                return Creation(before)
            if kind.name == "storage_root" and (own := self._root_before(fields)) is not None:
                return Creation(own)
            body = {name: _json(value) for name in kind.fields if (value := fields.get(name)) is not None}
            if kind.name == "object_component":
                body["issues"] = []  # required; an issue names its components itself
            response = self.connection.post(f"{kind.name}/", body)
            if response.status_code == HTTPStatus.CREATED:
                made = parse_json(response.content, self.site)
                return Creation(parse_row(row, made, self._base), new=True)
            if response.status_code == HTTPStatus.CONFLICT and (before := self._find_fields(row, fields)) is not None:
                return self._compared(kind, before, fields)
        except MultiblastError as error:
            return Creation(None, error=error)
        refused = ConflictError if response.status_code == HTTPStatus.CONFLICT else InvalidInputError
        return Creation(None, error=refused(f"{self.site} refused the {kind.name}: {printable(response.text[:300])}"))

    def _root_before(self, fields: Fields) -> StorageRootRow | None:
        """Return the site's own root if that is meant; raises `ConflictError` for another one on the same site."""
        root: str = fields["root"]
        if root == self.data_root:
            return self._own_root(fields)
        if _host(root) in {_host(own) for own in self.own_roots()}:
            reason = f"{root} is at {self.site} itself, beside its files"
            raise ConflictError(f"{reason}: with a second root there the server finds none of them")
        return None

    def _own_root(self, fields: Fields) -> StorageRootRow | None:
        """Return the root of the site's own files, which is its first, also where the site calls itself otherwise.

        A second root for them would make the server find none of them.
        """
        if (found := self._find_fields(StorageRootRow, fields)) is not None:
            return found
        first = self._one(StorageRootRow, 1)
        return first if first and first.root.endswith("/data/") and not first.local else None

    def _compared(self, kind: Kind, before: Row, fields: Fields) -> Creation:
        """Accept a row that exists, unless it lacks what can no more be added to it."""
        for name, listed in kind.lists.items():
            lacking = {_number(r) for r in fields.get(name) or ()} - {_number(r) for r in before.field(name)}
            if lacking and listed.followed and kind.name == "code_run":
                reason = f"{before.reference} is there without some of its {name}: the server broke off when it "
                reason += "recorded it. Have it deleted there, and push again"
                return Creation(None, error=ConflictError(reason))
        return Creation(before)

    def products(self, namespace: str, patterns: Sequence[str]) -> list[DataProductRow]:
        """Return data products of a namespace by name: see `Endpoint.products`."""
        known = self._namespaces.get(namespace)
        if known is None:
            found = self._find_fields(NamespaceRow, {"name": namespace})
            if found is None:
                return []
            known = self._namespaces[namespace] = found.reference
        mine = {"namespace": _number(known)}
        if len(patterns) <= _FEW:
            several = self.together(lambda name: self._list(DataProductRow, {**mine, "name": name}), patterns)
        else:  # as many as there are in the namespace is fewer requests than one a name
            several = [self._list(DataProductRow, mine)]
        rows = {row.reference: row for some in several for row in some if row.namespace == known}
        return [row for row in rows.values() if any(fnmatchcase(row.name, one) for one in patterns)]

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return an object for each location that has one: see `Endpoint.objects_at`."""
        rows = self._referring(ObjectRow, "storage_location", set(locations))
        return {row.storage_location: row.reference for row in rows if row.storage_location}  # the oldest of each

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind: see `Endpoint.newest`."""
        page = parse_answer(Page, self.connection.get(f"{kind}/", {"page_size": 1}), self.site)
        return max((self._number_of(ROWS[kind], item) for item in page.results), default=0)

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return the rows of a kind that are newer than a number: see `Endpoint.since`."""
        found: list[RowT | None] = []
        for items, _ in self._pages(kind, _LARGEST_PAGE):
            fresh = [item for item in items if self._number_of(kind, item) > number]
            found += [self._taken(kind, item) for item in fresh]
            if len(fresh) < len(items):
                break
        return [row for row in found if row]

    def transaction(self) -> AbstractContextManager[None]:
        """Do nothing: the API has no transactions."""
        return nullcontext()

    def own_roots(self) -> set[str]:
        """Return the root of the site's files, as we and as the site itself writes it: see `Endpoint.own_roots`."""
        with self._noting:
            known = self._roots
        if not known:
            own = self._own_root({"root": self.data_root})
            known = {self.data_root, *([own.root] if own else [])}
            self._roots = known
        return known

    def _file_url(self, location: FileLocation) -> str:
        """Return where a file is; the site's own is where we reach the site, whatever it calls itself."""
        if location.root in self.own_roots():
            return self.data_root + location.path.lstrip("/")
        return location.url

    def size(self, location: FileLocation) -> int:
        """Return a file's length in bytes, requested with its first byte: see `Endpoint.size`."""
        with self.connection.stream(self._file_url(location), 0, 1) as response:
            whole = response.headers.get("content-range", "").rpartition("/")[2]
            return read_length(whole) or read_length(response.headers.get("content-length", "")) or 0

    def download(self, location: FileLocation, part: Path) -> None:
        """Write a file behind what is there of it, going on where the connection broke: see `Endpoint.download`."""
        broken = retry_if_exception_type(httpx.TransportError)
        try:
            Retrying(retry=broken, stop=stop_after_attempt(self.connection.limits.attempts), reraise=True)(
                self._download, location, part
            )
        except httpx.TransportError as error:
            raise self.connection.unreachable(error) from error

    def _download(self, location: FileLocation, part: Path) -> None:
        done = part.stat().st_size if part.exists() else 0
        with self.connection.stream(self._file_url(location), done) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it is there to the last byte; the digest decides
            # The header and not the status shows whether this is the rest: not every S3 server answers 206.
            mode = "ab" if response.headers.get("content-range", "").startswith(f"bytes {done}-") else "wb"
            with part.open(mode) as file:
                file.writelines(self.connection.download(response))

    def path_of(self, kept: StoredFile) -> str:
        """Return the path of a content, which is its hash: see `Endpoint.path_of`."""
        return kept.sha1

    def upload(self, kept: StoredFile, content: Callable[[], Iterator[bytes]]) -> bool:
        """Upload a file to where the server signs for, and make sure that it arrived: see `Endpoint.upload`."""
        md5 = hashlib.md5(usedforsecurity=False)  # what S3 calls an ETag

        def sent() -> Iterator[bytes]:
            nonlocal md5
            md5 = hashlib.md5(usedforsecurity=False)
            yield from hashed(content(), md5)

        def signed() -> str:
            response = self.connection.post(f"data/{kept.sha1}")
            if response.status_code == HTTPStatus.CONFLICT:
                raise FileExistsError(kept.sha1)
            if response.is_error:
                raise StoreError(f"{self.site} does not take files: {printable(response.text[:200])}")
            return parse_answer(SignedLink, parse_json(response.content, self.site), self.site).url

        try:
            response = self.connection.put(signed, sent, kept.size_bytes)
        except FileExistsError:
            return True
        tag = response.headers.get("etag", "").strip('"').lower()
        is_md5 = re.fullmatch("[0-9a-f]{32}", tag) is not None  # that of a multipart upload is none
        if is_md5 and tag != md5.hexdigest():
            raise StoreError(f"the storage of {self.site} keeps other bytes for {kept.sha1} than were sent: try again")
        return is_md5

    def check_upload(self, sha1: str) -> bool:
        """Return whether what the server gives out under a hash has that hash."""
        try:
            with self.connection.stream(self.data_root + sha1) as response:
                return checksums(self.connection.download(response)).sha1 == sha1
        except NotFoundError:
            return False


# Names and values of the fields that identify a row; empty if nothing does.
Sought = tuple[tuple[str, Any], ...]


def _host(root: str) -> str:
    return root.partition("://")[2].partition("/")[0].lower()


def _json(value: Any) -> Any:
    return write_time(value) if isinstance(value, datetime) else value


def _number(reference: str) -> int:
    try:
        return number_of(reference)
    except ValueError as error:
        raise StoreError(str(error)) from error


def _references(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {value}


def _numbers(value: Any) -> set[int]:
    """Return the numbers of all rows that a field as it came refers to."""
    found: set[int] = set()
    for one in value if isinstance(value, list) else [value]:
        with suppress(ValueError):
            found.add(number_of(one))
    return found


def _sought(kind: Kind, fields: Fields) -> Sought:
    return _values(kind, fields, kind.key_of(fields))


def _values(kind: Kind, fields: Fields, names: Sequence[str]) -> Sought:
    return tuple((name, _number(fields[name]) if name in kind.references else fields[name]) for name in names)


def _described(kind: type[Row], item: Mapping[str, Any], names: Sequence[str]) -> Sought:
    """Return what identifies an item of a page, by some of its fields; empty if it lacks one."""
    try:
        known = tuple(
            (name, number_of(item[name]) if name in KINDS[kind.kind].references else item[name]) for name in names
        )
        hash(known)
    except (KeyError, TypeError, ValueError):
        return ()
    return known
