"""A FAIR data registry over its REST API, as `Endpoint`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from multiblast.errors import ConflictError, InvalidInputError, MultiblastError, NotFoundError, StoreError
from multiblast.files import hashed
from multiblast.registry.local.files import checksums
from multiblast.registry.model.kinds import KINDS, Kind
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.rows import (
    ROWS,
    Creation,
    Fields,
    FileLocation,
    Row,
    StorageLocationRow,
    StorageRootRow,
    write_time,
)
from multiblast.registry.remotes.answers import (
    SignedLink,
    parse_answer,
    parse_json,
    parse_row,
    read_length,
)
from multiblast.registry.remotes.connection import RetryPolicy, printable
from multiblast.registry.remotes.rest_rows import RestRows, row_number


class RestRegistry(RestRows):
    """A FAIR data registry: its rows, what is made there, and its files.

    Args:
        url: Of the site, or of its API.
        token: To write with; reading needs none.
        limits: How patient to be, and how much to do at once.
    """

    shares_objects = True  # the server finds the file of a content only while one object has it

    def __init__(self, url: str, token: str = "", limits: RetryPolicy | None = None) -> None:
        super().__init__(url, token, limits)
        self._roots: set[str] = set()

    @property
    def data_root(self) -> str:
        """The root under which the site keeps files: see `Endpoint.data_root`."""
        return self.site + "data/"

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
            if kind.name == "licence" and (before := self.find_one(row, fields)) is not None:
                return Creation(before)
            if kind.name == "storage_root" and (own := self._root_before(fields)) is not None:
                return Creation(own)
            body = {name: _json(value) for name in kind.fields if (value := fields.get(name)) is not None}
            if kind.name == "object_component":
                body["issues"] = []  # required; an issue names its components itself
            response = self.connection.post(f"{kind.name}/", body)
            if response.status_code == HTTPStatus.CREATED:
                made = parse_json(response.content, self.site)
                return Creation(parse_row(row, made, self.base), new=True)
            if response.status_code == HTTPStatus.CONFLICT and (before := self.find_one(row, fields)) is not None:
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
        if (found := self.find_one(StorageRootRow, fields)) is not None:
            return found
        first = self.read_one(StorageRootRow, 1)
        return first if first and first.root.endswith("/data/") and not first.local else None

    def _compared(self, kind: Kind, before: Row, fields: Fields) -> Creation:
        """Accept a row that exists, unless it lacks what can no more be added to it."""
        for name, listed in kind.lists.items():
            lacking = {row_number(r) for r in fields.get(name) or ()} - {row_number(r) for r in before.field(name)}
            if lacking and listed.followed and kind.name == "code_run":
                reason = f"{before.reference} is there without some of its {name}: the server broke off when it "
                reason += "recorded it. Have it deleted there, and push again"
                return Creation(None, error=ConflictError(reason))
        return Creation(before)

    def transaction(self) -> AbstractContextManager[None]:
        """Do nothing: the API has no transactions."""
        return nullcontext()

    def own_roots(self) -> set[str]:
        """Return the root of the site's files, as we and as the site itself writes it: see `Endpoint.own_roots`."""
        if not self._roots:
            own = self._own_root({"root": self.data_root})
            self._roots = {self.data_root, *([own.root] if own else [])}
        return self._roots

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


def _host(root: str) -> str:
    return root.partition("://")[2].partition("/")[0].lower()


def _json(value: Any) -> Any:
    return write_time(value) if isinstance(value, datetime) else value
