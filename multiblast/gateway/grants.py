"""Grants: signed statements of which files a run elsewhere may fetch and push, and until when."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass

from sqlalchemy import delete
from sqlmodel import col, select

from multiblast.database import Database, GrantKey
from multiblast.errors import NotAllowedError
from multiblast.stores.base import is_key

GRANT_S = 600
ALL = "/"  # as a prefix: every key
_PREFIX, _SEAL = "mbg1", "seal1"
_REREAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What its holder may do.

    Attributes:
        ticket: The row that says the same for longer, and can be taken back.
        reads, writes: Keys, and prefixes of keys that end in ``/``; what may be written may be read.
        max_bytes: How much may be pushed in all.
        replaces: Whether what is pushed may replace other bytes, and be deleted.
        expires: Until when, in seconds since 1970.
    """

    ticket: str
    job: str
    site: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    max_bytes: int
    replaces: bool
    expires: int

    def may_read(self, key: str) -> bool:
        """Return whether an object may be fetched."""
        return _is_among(key, self.reads) or self.may_write(key)

    def may_write(self, key: str) -> bool:
        """Return whether an object may be pushed."""
        return _is_among(key, self.writes)


class GrantKeys:
    """Signs grants and reads them; its keys are in the job database, and in no other place."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: list[GrantKey] = []
        self._read_at = -_REREAD_S

    def sign(self, grant: Grant) -> str:
        """Return a grant as a token."""
        if not self._keys(fresh=True):
            self.rotate()
        key = self._keys()[-1]
        facts = json.dumps(asdict(grant), separators=(",", ":")).encode()
        body = f"{_PREFIX}.{key.id}.{_encode(facts)}"
        return f"{body}.{_signature(key, body)}"

    def read(self, token: str, now: float | None = None) -> tuple[Grant, bool]:
        """Return a grant that we signed, and whether it has expired.

        Raises:
            NotAllowedError: we did not sign it, or not so.
        """
        body, _, signature = token.rpartition(".")
        prefix, _, rest = body.partition(".")
        key_id, _, facts = rest.partition(".")
        key = next((key for key in self._keys() if prefix == _PREFIX and key.id == key_id), None)
        # As bytes: of texts beyond ASCII the comparison would make an error.
        if key is None or not hmac.compare_digest(_signature(key, body).encode(), signature.encode(errors="replace")):
            raise NotAllowedError("this grant is not one of ours: ask for one with a site key and a ticket")
        read = json.loads(base64.urlsafe_b64decode(facts))
        grant = Grant(**{**read, "reads": tuple(read["reads"]), "writes": tuple(read["writes"])})
        return grant, grant.expires <= (time.time() if now is None else now)

    def seal(self, text: str) -> str:
        """Return what shows that we wrote a text, such as what a link stands for; revoked as grants are."""
        if not self._keys():
            self.rotate()
        key = self._keys()[-1]
        return f"{key.id}-{_signature(key, f'{_SEAL}:{text}')}".rstrip("=")

    def is_sealed(self, text: str, seal: str) -> bool:
        """Return whether we made a seal for a text."""
        key = next((key for key in self._keys() if seal.startswith(f"{key.id}-")), None)
        made = f"{key.id}-{_signature(key, f'{_SEAL}:{text}')}".rstrip("=") if key else ""
        return bool(made) and hmac.compare_digest(made.encode(), seal.encode(errors="replace"))

    def rotate(self) -> str:
        """Let a new key sign from now on; return its id.

        Grants of the one before it are good until they expire; those of still earlier ones are invalid now.
        """
        made = GrantKey(id=secrets.token_hex(4), secret=secrets.token_hex(32))
        kept = made.id
        with self._database.write() as session:
            newest = select(GrantKey.id).order_by(col(GrantKey.created_at).desc()).limit(1)
            session.exec(delete(GrantKey).where(col(GrantKey.id).not_in(newest)))
            session.add(made)
        self._read_at = -_REREAD_S
        return kept

    def _keys(self, *, fresh: bool = False) -> list[GrantKey]:
        """Return all keys, the one that signs last; as they were a moment ago."""
        if fresh or time.monotonic() - self._read_at > _REREAD_S:
            with self._database.read() as session:
                self._known = list(session.exec(select(GrantKey).order_by(col(GrantKey.created_at))))
            self._read_at = time.monotonic()
        return self._known


def _is_among(key: str, allowed: tuple[str, ...]) -> bool:
    """Return whether a well-formed key is one of some keys, or below one of some prefixes."""
    return is_key(key) and any(one in (ALL, key) or (one.endswith("/") and key.startswith(one)) for one in allowed)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _signature(key: GrantKey, body: str) -> str:
    return _encode(hmac.digest(bytes.fromhex(key.secret), body.encode(errors="replace"), "sha256"))
