"""A FAIR data registry over its REST API, as `Endpoint`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotFoundError, StoreError
from multiblast.files import hashed
from multiblast.registry.local.files import checksums
from multiblast.registry.model.kinds import BACK_REFERENCES, KINDS, Kind
from multiblast.registry.model.rows import (
    ROWS,
    Creation,
    DataProductRow,
    Fields,
    FileLocation,
    NamespaceRow,
    ObjectRow,
    Row,
    RowT,
    StorageRootRow,
    write_time,
)
from multiblast.registry.model.tables import StoredFile
from multiblast.registry.remotes.connection import Connection, RetryPolicy
from multiblast.stores.base import CHUNK_BYTES

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_FEW = 4  # as many rows are requested one by one before a whole page is
_PAGE = 250
_ALL_OF_A_NAME = 1000


class RestRegistry:
    """A FAIR data registry; a row's reference is its URL.

    Args:
        url: Of the site, or of its API.
        token: To write with; reading needs none.
        limits: How patient to be, and how much to do at once.
    """

    shares_objects = True  # the server finds the file of a content only while one object has it

    def __init__(self, url: str, token: str = "", limits: RetryPolicy | None = None) -> None:
        self.site = url.rstrip("/").removesuffix("/api") + "/"
        self.name, self.data_root = self.site, self.site + "data/"
        self.secrets: tuple[str, ...] = (token,) if token else ()
        self.connection = Connection(self.site + "api/", token, limits)
        self._pool = ThreadPoolExecutor(self.connection.limits.at_once, thread_name_prefix="registry")
        self._namespaces: dict[str, str] = {}

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
        """Do something with many items, some at once; return what came of it in their order."""
        return list(self._pool.map(work, items))

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by URL: see `Endpoint.read`.

        Many are taken from pages of the whole list, as long as that is fewer requests.
        """
        wanted = {_number(reference): reference for reference in references}
        found: dict[int, RowT] = {}
        if len(wanted) > _FEW:
            for rows, left in self._pages(kind):
                found.update({number: row for row in rows if (number := _number(row.reference)) in wanted})
                missing = len(wanted) - len(found)
                if missing <= _FEW or left > missing:
                    break
        single = [reference for number, reference in wanted.items() if number not in found]
        rest = self.together(lambda reference: self._row(kind, self.connection.get(reference)), single)
        return [*found.values(), *rest]

    def _pages(
        self, kind: type[RowT], filters: Mapping[str, Any] | None = None, size: int = _PAGE
    ) -> Iterator[tuple[list[RowT], int]]:
        """Yield pages, the newest rows first, each with the number of pages that follow."""
        answer = self.connection.get(f"{kind.kind}/", {**(filters or {}), "page_size": size})
        left = -(-answer["count"] // size)
        while True:
            left -= 1
            yield [self._row(kind, item) for item in answer["results"]], max(0, left)
            if not answer["next"]:
                return
            answer = self.connection.get(answer["next"])

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows that refer to others: see `Endpoint.details`."""
        place = f"{kind.kind}.{field_name}"
        if not rows:
            return []
        if place in BACK_REFERENCES.get(rows[0].kind, {}).values():
            return self.read(kind, {reference for row in rows for reference in row.details[place]})
        owners = {_number(row.reference): row for row in rows}
        found: list[RowT] = []
        if len(owners) > _FEW:
            for page, left in self._pages(kind):
                found += [row for row in page if _number(row.field(field_name)) in owners]
                if left == 0:
                    return found
                if left > len(owners):
                    break
        one_by_one = self.together(lambda owner: self._list(kind, {field_name: owner}), owners)
        return [row for some in one_by_one for row in some]

    def _list(self, kind: type[RowT], filters: Mapping[str, Any]) -> list[RowT]:
        return [row for rows, _ in self._pages(kind, filters, _ALL_OF_A_NAME) for row in rows]

    def find(self, kind: type[RowT], many: Sequence[Fields]) -> list[RowT | None]:
        """Look rows up by what identifies them: see `Endpoint.find`."""
        return self.together(lambda fields: self._find(kind, fields), many)

    def _find(self, row: type[RowT], fields: Fields) -> RowT | None:
        kind = KINDS[row.kind]
        key = kind.key_of(fields)
        if not key:
            return None
        filters = {name: _value(kind, name, fields[name]) for name in key}
        # Compared once more with what was meant: a name's filter is a pattern there.
        found = self._list(row, filters)
        matching = [one for one in found if all(_value(kind, n, one.field(n)) == filters[n] for n in key)]
        return matching[-1] if matching else None  # the oldest

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
            if kind.name == "licence" and (before := self._find(row, fields)) is not None:
                return Creation(before)
            if kind.name == "storage_root" and fields["root"] == self.data_root and (own := self._own_root(fields)):
                return Creation(own)
            body = {name: _json(value) for name in kind.fields if (value := fields.get(name)) is not None}
            if kind.name == "object_component":
                body["issues"] = []  # required; an issue names its components itself
            response = self.connection.post(f"{kind.name}/", body)
            if response.status_code == HTTPStatus.CREATED:
                return Creation(self._row(row, response.json()), new=True)
            if response.status_code == HTTPStatus.CONFLICT and (before := self._find(row, fields)) is not None:
                return self._compared(kind, before, fields)
        except MultiblastError as error:
            return Creation(None, error=error)
        refused = ConflictError if response.status_code == HTTPStatus.CONFLICT else InvalidInputError
        return Creation(None, error=refused(f"{self.site} refused the {kind.name}: {response.text[:300]}"))

    def _own_root(self, fields: Fields) -> StorageRootRow | None:
        """Return the root of the site's own files, which is its first, also where the site calls itself otherwise.

        A second root for them would make the server find none of them.
        """
        if (found := self._find(StorageRootRow, fields)) is not None:
            return found
        try:
            first = self._row(StorageRootRow, self.connection.get("storage_root/1/"))
        except NotFoundError:
            return None
        return first if first.root.endswith("/data/") and not first.local else None

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
            found = self._find(NamespaceRow, {"name": namespace})
            if found is None:
                return []
            known = self._namespaces[namespace] = found.reference
        mine = {"namespace": _number(known)}
        if len(patterns) <= _FEW:
            several = self.together(lambda name: self._list(DataProductRow, {**mine, "name": name}), patterns)
        else:  # as many as there are in the namespace is fewer requests than one a name
            several = [self._list(DataProductRow, mine)]
        rows = {row.reference: row for some in several for row in some}
        return [row for row in rows.values() if any(fnmatchcase(row.name, one) for one in patterns)]

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return an object for each location that has one: see `Endpoint.objects_at`."""
        wanted = list(locations)
        found = self.together(lambda location: self._list(ObjectRow, {"storage_location": _number(location)}), wanted)
        return {location: rows[-1].reference for location, rows in zip(wanted, found, strict=True) if rows}

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind: see `Endpoint.newest`."""
        answer = self.connection.get(f"{kind}/", {"page_size": 1})
        return max((_number(item["url"]) for item in answer["results"]), default=0)

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return the rows of a kind that are newer than a number: see `Endpoint.since`."""
        found: list[RowT] = []
        for rows, _ in self._pages(kind):
            fresh = [row for row in rows if _number(row.reference) > number]
            found += fresh
            if len(fresh) < len(rows):
                break
        return found

    def transaction(self) -> AbstractContextManager[None]:
        """Do nothing: the API has no transactions."""
        return nullcontext()

    def size(self, location: FileLocation) -> int:
        """Return a file's length in bytes, requested with its first byte: see `Endpoint.size`."""
        with self.connection.stream(location.url, 0, 1) as response:
            if place := response.headers.get("content-range"):
                return int(place.rpartition("/")[2])
            return int(response.headers.get("content-length", 0))

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
        with self.connection.stream(location.url, done) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it is there to the last byte; the digest decides
            # The header and not the status shows whether this is the rest: not every S3 server answers 206.
            mode = "ab" if response.headers.get("content-range", "").startswith(f"bytes {done}-") else "wb"
            with part.open(mode) as file:
                for chunk in response.iter_raw(CHUNK_BYTES):
                    file.write(chunk)

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
                raise StoreError(f"{self.site} does not take files: {response.text[:200]}")
            return str(response.json()["url"])

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
                return checksums(response.iter_raw(CHUNK_BYTES)).sha1 == sha1
        except NotFoundError:
            return False

    def _row(self, kind: type[RowT], item: Any) -> RowT:
        """Check what the server sent; everything that comes from it as a row passes here."""
        try:
            details = {place: _listed(item.get(name)) for name, place in BACK_REFERENCES.get(kind.kind, {}).items()}
            return kind.model_validate({**item, "reference": item["url"], "details": details})
        except (ValidationError, AttributeError, KeyError, TypeError) as error:
            wrong = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": "it is no record"}
            place = ".".join(map(str, wrong["loc"]))
            raise StoreError(f"{self.site} sent a {kind.kind} that is none: {place} {wrong['msg']}") from error


def _json(value: Any) -> Any:
    return write_time(value) if isinstance(value, datetime) else value


def _number(reference: str) -> int:
    return int(reference.rstrip("/").rpartition("/")[2])


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _value(kind: Kind, name: str, value: Any) -> Any:
    return _number(value) if name in kind.references else value
