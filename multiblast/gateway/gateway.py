"""What machines elsewhere may do: fetch and push the files of their own job, each time checked and recorded."""

from __future__ import annotations

import errno
import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from multiblast.database import Database, Transfer
from multiblast.errors import (
    ConflictError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
    ObjectMissingError,
    StoreError,
)
from multiblast.gateway.grants import ALL, Grant, GrantKeys
from multiblast.gateway.metrics import GatewayMetrics
from multiblast.gateway.sites import Sites
from multiblast.gateway.tickets import Tickets
from multiblast.gateway.uploads import BrokenPieceError, Upload, Uploads, noticing_full_disk
from multiblast.stores import LocalStore, Store, StoredObject

_log = logging.getLogger(__name__)

LARGEST_PUT = 1 << 20
_LONGEST_REASON, _LONGEST_KEY = 500, 1000
_CLASHES = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}


class UnknownGrantError(NotAllowedError):
    """The request shows no grant, or none that is still good: a fresh one is needed.

    Attributes:
        has_expired: Whether it was good once.
    """

    has_expired = False


@dataclass(frozen=True, slots=True)
class SweptGateway:
    """How much was removed that machines elsewhere have no use for any more."""

    tickets: int
    transfers: int
    uploads: int  # of which nothing arrived for a day


@dataclass
class Gateway:
    """The door for machines elsewhere.

    Attributes:
        spool: Where uploads are kept until they are whole.
    """

    database: Database
    store: Store
    spool: Path
    metrics: GatewayMetrics = field(default_factory=GatewayMetrics)

    @cached_property
    def keys(self) -> GrantKeys:
        """What signs grants."""
        return GrantKeys(self.database)

    @cached_property
    def sites(self) -> Sites:
        """Who may ask for grants."""
        return Sites(self.database)

    @cached_property
    def tickets(self) -> Tickets:
        """For what."""
        return Tickets(self.database)

    @cached_property
    def uploads(self) -> Uploads:
        """What is on its way to us."""
        return Uploads(self.spool, self.store.root if isinstance(self.store, LocalStore) else None)

    def open(self, site_key: str, ticket_id: str, address: str = "") -> tuple[str, Grant]:
        """Return a grant, as a token and read, for the key of a site and a ticket of it.

        Raises:
            UnknownGrantError: it is no key of a site.
            NotAllowedError: the ticket is not of this site, or revoked.
        """
        at = Transfer(ticket=ticket_id[:32], address=address, verb="grant", outcome="done")
        started = time.perf_counter()
        try:
            site = self.sites.of_key(site_key)
            at.site = site.name
            grant = self.tickets.grant(ticket_id, site.name)
            at.job_id = grant.job
        except NotAllowedError as error:
            at.outcome, at.reason = "refused", str(error)[:_LONGEST_REASON]
            raise error if at.site else UnknownGrantError(str(error)) from None
        finally:
            at.seconds = time.perf_counter() - started
            self.note(at)
        return self.keys.sign(grant), grant

    def visit(self, token: str, address: str = "") -> Visit:
        """Return what the holder of a grant can do.

        Raises:
            UnknownGrantError: it is not one of ours, has expired, or was taken back.
        """
        transfer = Transfer(address=address, verb="grant", outcome="refused")
        has_expired = False
        try:
            grant, has_expired = self.keys.read(token)
            transfer.ticket, transfer.job_id, transfer.site = grant.ticket, grant.job, grant.site
            self.tickets.check(grant, has_expired=has_expired)
        except NotAllowedError as error:
            transfer.reason = str(error)[:_LONGEST_REASON]
            self.note(transfer)
            refusal = UnknownGrantError(str(error))
            refusal.has_expired = has_expired
            raise refusal from None
        return Visit(self, grant, address)

    def sweep(self, cutoff: datetime) -> SweptGateway:
        """Remove uploads that were given up, and the records from before a time of jobs that are gone."""
        return SweptGateway(*self.tickets.sweep(cutoff), self.uploads.sweep())

    def note(self, transfer: Transfer) -> None:
        """Record a request; one of somebody unknown in the log only, so that strangers cannot fill the database."""
        self.metrics.count(transfer)
        facts = transfer.model_dump(exclude={"at", "number"}, exclude_defaults=True)
        _log.info("gateway: %s", " ".join(f"{name}={value!r}" for name, value in facts.items()))
        if transfer.ticket and (transfer.job_id or transfer.site or transfer.verb != "grant"):
            self.tickets.record(transfer)


@dataclass
class Visit:
    """What the holder of one grant does, one request at a time.

    Every method raises `NotAllowedError` for what the grant does not name, without saying whether it exists.
    """

    gateway: Gateway
    grant: Grant
    address: str
    _started: float = field(default_factory=time.perf_counter)

    def stat(self, key: str) -> tuple[StoredObject, str]:
        """Describe an object that may be read, with its SHA-256 if that is known.

        Raises:
            NotFoundError: it is not there.
        """
        with self._refusing("fetch", key):
            if not self.grant.may_read(key):
                raise NotAllowedError(f"the grant does not name {key[:200]!r}")
            try:
                found = self.gateway.store.stat(key)
            except ObjectMissingError:
                raise NotFoundError("object", key, "it was not pushed yet, or is gone") from None
        return found, self.gateway.tickets.pushed_digest(key, found.modified)

    def fetched(self, key: str, start: int, size: int, how: str = "") -> None:
        """Record that some bytes of an object were sent, or who else sends them."""
        self.gateway.note(self._transfer("fetch", key, start=start, size=size, reason=how))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key starts with a prefix, as far as they may be read."""
        named = {*self.grant.reads, *self.grant.writes}
        roots = {one for one in named if one.startswith(prefix)}
        if any(one == ALL or (one.endswith("/") and prefix.startswith(one)) for one in named):
            roots = {prefix}
        with self._refusing("list", prefix):
            if not roots:
                raise NotAllowedError(f"the grant names nothing below {prefix[:200]!r}")
        self.gateway.note(self._transfer("list", prefix))
        for root in sorted(roots):
            if not any(root != other and root.startswith(other) for other in roots):
                yield from (found for found in self.gateway.store.list(root) if self.grant.may_read(found.key))

    def put(self, key: str, data: bytes, sha256: str) -> bool:
        """Take a small object whole; return whether it is new here.

        Raises:
            BrokenPieceError: its digest is another one than was said.
            ConflictError: there are other bytes under its key, or it is more than may be pushed.
        """
        with self._refusing("push", key):
            self._check_push(key)
            if hashlib.sha256(data).hexdigest() != sha256:
                raise BrokenPieceError("the bytes that arrived are not those that were sent: send them again")
        return self.keep(key, data, len(data), sha256)

    def expect(self, key: str) -> None:
        """Make sure that an object may be pushed, before its bytes come; other bytes are found out after that."""
        with self._refusing("push", key):
            self._check_push(key)
            if not self.grant.may_write(key) and not self.gateway.store.exists(key):
                raise NotAllowedError(f"the grant does not let {key[:200]!r} be made")

    def holds(self, key: str, length: int, sha256: str) -> bool:
        """Return whether these bytes are under a key already.

        Raises:
            ConflictError: there are others.
        """
        with self._refusing("push", key):
            self._check_push(key)
            return self._is_there(key, length, sha256)

    def keep(self, key: str, data: BinaryIO | bytes, length: int, sha256: str) -> bool:
        """Keep an object that is here whole, of which length and digest are known; return whether it is new.

        Raises:
            ConflictError: there are other bytes under its key, or it is more than may be pushed.
        """
        with self._refusing("push", key):
            self._check_push(key)
            if self._is_there(key, length, sha256):
                return False
            self._take_space(length)
            self._put(key, data)
        self.gateway.note(self._transfer("push", key, size=length, sha256=sha256))
        return True

    def refuse(self, name: str) -> NoReturn:
        """Refuse, and count against the ticket, what is no key at all.

        Raises:
            NotAllowedError: always.
        """
        with self._refusing("fetch", name):
            raise NotAllowedError(f"the grant does not name {name[:200]!r}")

    def broke_off(self, key: str, size: int) -> None:
        """Record that a push ended after some bytes, of which nothing was kept."""
        self.gateway.note(self._transfer("push", key, size=size, outcome="failed", reason="it broke off"))

    def begin(self, key: str, length: int, sha256: str) -> Upload:
        """Begin an upload, or find it again; one of which all is here already has nothing left to send.

        Raises:
            ConflictError: there are other bytes under its key, or it is more than may be pushed.
            NoSpaceError: there is no room for it.
        """
        with self._refusing("push", key):
            self._check_push(key)
            if self._is_there(key, length, sha256):
                self.gateway.uploads.forget(self.grant.ticket, key, length, sha256)
                return Upload("", self.grant.ticket, key, length, sha256, length)
            upload, is_new = self.gateway.uploads.begin(self.grant.ticket, key, length, sha256)
            if is_new:
                try:
                    self._take_space(length)
                except ConflictError:
                    self.gateway.uploads.remove(upload)
                    raise
        if upload.offset == length:  # there are no bytes, or who took the last ones ended before they were kept
            try:
                self.finish(upload)
            except NotFoundError:  # somebody else has just done so
                return self.begin(key, length, sha256)
        return upload

    def upload(self, upload_id: str) -> Upload:
        """Return an upload of this ticket.

        Raises:
            NotFoundError: there is none of this id.
        """
        upload = self.gateway.uploads.get(upload_id, self.grant.ticket)
        with self._refusing("push", upload.key):
            self._check_push(upload.key)
        return upload

    def took(self, upload: Upload, start: int, size: int) -> None:
        """Record that a piece of an upload has arrived."""
        self.gateway.note(self._transfer("push", upload.key, start=start, size=size))

    def finish(self, upload: Upload) -> None:
        """Keep a complete upload under its key, where it is visible from now on.

        Raises:
            BrokenPieceError: it is not what was announced.
            ConflictError: there are other bytes under its key by now.
        """
        with self._refusing("push", upload.key), self.gateway.uploads.whole(upload) as file:
            if not self._is_there(upload.key, upload.length, upload.sha256):
                self._put(upload.key, file)
        self.gateway.note(self._transfer("push", upload.key, start=upload.length, sha256=upload.sha256))

    def delete(self, key: str) -> None:
        """Remove an object, where the grant lets replace."""
        with self._refusing("delete", key):
            if not (self.grant.may_write(key) and self.grant.replaces):
                raise NotAllowedError(f"the grant does not let {key[:200]!r} be removed")
            self.gateway.store.delete([key])
        self.gateway.note(self._transfer("delete", key))

    def _check_push(self, key: str) -> None:
        # What it may read it may push again, for that changes nothing: some tools send their inputs back.
        if not self.grant.may_read(key):
            raise NotAllowedError(f"the grant does not name {key[:200]!r}")

    def _is_there(self, key: str, length: int, sha256: str) -> bool:
        """Return whether these bytes are there already.

        Raises:
            ConflictError: there are others, which may not be replaced.
        """
        store = self.gateway.store
        try:
            is_same = store.stat(key).size_bytes == length and store.sha256(key) == sha256
        except ObjectMissingError:
            if not self.grant.may_write(key):
                raise NotAllowedError(f"the grant does not let {key[:200]!r} be made") from None
            self._check_place(key)
            return False
        if not is_same and not (self.grant.replaces and self.grant.may_write(key)):
            raise ConflictError(f"there are other bytes at {key!r} already, which stay as they are")
        return is_same

    def _check_place(self, key: str) -> None:
        """Raise a `ConflictError` where an object would be the directory of another, which no store has room for."""
        store, words = self.gateway.store, key.split("/")
        if next(store.list(f"{key}/"), None):
            raise ConflictError(f"{key!r} is a directory already: choose another key")
        for above in ("/".join(words[:count]) for count in range(1, len(words))):
            if store.exists(above):
                raise ConflictError(f"{key!r} lies below {above!r}, which is a file already: choose another key")

    def _put(self, key: str, data: bytes | BinaryIO) -> None:
        """Put an object into the store; errors as of `put`."""
        try:
            with noticing_full_disk():
                self.gateway.store.put(key, data)
        except StoreError as error:
            if getattr(error.__cause__, "errno", None) not in _CLASHES:
                raise
            raise ConflictError(f"{key!r} is a directory, or lies below a file: choose another key") from error

    def _take_space(self, size: int) -> None:
        if not self.gateway.tickets.take_space(self.grant.ticket, size):
            raise ConflictError(f"this is more than the {self.grant.max_bytes:,} bytes that may be pushed in all")

    def _transfer(self, verb: str, key: str, *, outcome: str = "done", **facts: Any) -> Transfer:
        return Transfer(
            ticket=self.grant.ticket,
            job_id=self.grant.job,
            site=self.grant.site,
            address=self.address,
            verb=verb,
            key=key[:_LONGEST_KEY].replace("\0", " ").encode(errors="replace").decode(),
            seconds=time.perf_counter() - self._started,
            outcome=outcome,
            **facts,
        )

    @contextmanager
    def _refusing(self, verb: str, key: str) -> Iterator[None]:
        """Record what goes wrong in the block; what the grant does not name counts against its ticket."""
        try:
            yield
        except MultiblastError as error:
            outcome = "refused" if isinstance(error, NotAllowedError) else "failed"
            reason = str(error)[:_LONGEST_REASON]
            self.gateway.note(self._transfer(verb, key, outcome=outcome, reason=reason))
            if outcome == "refused":
                self.gateway.tickets.refuse(self.grant.ticket)
            raise
