"""Tokens of users: made, listed and revoked by an administrator, and what they prove."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import col, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.accounts.requester import check_name
from multiblast.database import Database, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError, Problem

_TOKEN_BYTES = 32
_PREFIX = "mb_"  # by which scanners for forgotten secrets may know them
_SEEN_EVERY = timedelta(minutes=1)


def new_token() -> str:
    """Return a text of 256 random bits."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def hash_of(token: str) -> str:
    """Return what is kept of a token; without salt, which for a text of 256 random bits adds nothing."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


class UserTokens:
    """The tokens of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, user: str, name: str, *, lasts: timedelta | None = None) -> str:
        """Return a new token, which is not kept and cannot be shown again; nothing else makes somebody a user.

        The name is to know it by later. Without an end it lasts until it is revoked.

        Raises:
            InvalidInputError: nobody can be called so, a living token of the user has the name, or the time is over.
        """
        check_name(user)
        check_name(name, "name")
        if lasts is not None and lasts <= timedelta():
            raise InvalidInputError(Problem(f"{lasts} is no time for a token to last: give a positive one", "lasts"))
        token = _PREFIX + new_token()
        now = utc_now()
        with self._database.write() as session:
            living = select(tables.UserToken).where(tables.UserToken.user == user, tables.UserToken.name == name)
            if any(_lives(row, now) for row in session.exec(living)):
                reason = f"{user} has a token {name!r}: revoke that first, or choose another name"
                raise InvalidInputError(Problem(reason, "name"))
            expires_at = now + lasts if lasts is not None else None
            session.add(tables.UserToken(token_hash=hash_of(token), user=user, name=name, expires_at=expires_at))
        return token

    def list(self, user: str = "") -> list[tables.UserToken]:
        """Return all tokens of a user, or of everybody, oldest first."""
        statement = select(tables.UserToken).order_by(col(tables.UserToken.user), col(tables.UserToken.created_at))
        with self._database.read() as session:
            return list(session.exec(statement.where(tables.UserToken.user == user) if user else statement))

    def revoke(self, user: str, name: str = "") -> int:
        """Revoke a user's token, or all of them; return how many were valid.

        Raises:
            NotFoundError: there is no such living token.
        """
        now = utc_now()
        living = [row.token_hash for row in self.list(user) if _lives(row, now) and name in {"", row.name}]
        if not living:
            raise NotFoundError("living token", f"{user}/{name}" if name else user, "list them")
        with self._database.write() as session:
            chosen = update(tables.UserToken).where(col(tables.UserToken.token_hash).in_(living))
            session.exec(chosen.values(revoked_at=now))
        return len(living)

    def user(self, token: str) -> str:
        """Return whose token this is; empty if it is no user's.

        Raises:
            NotAllowedError: it was revoked, or has expired.
        """
        if not token.startswith(_PREFIX):
            return ""
        now = utc_now()
        with self._database.read() as session:
            row = session.get(tables.UserToken, hash_of(token))
        if row is None:
            return ""
        if not _lives(row, now):
            raise NotAllowedError("this token was revoked or has expired: ask the administrator for a new one")
        if row.used_at is None or now - row.used_at > _SEEN_EVERY:
            with self._database.write() as session:
                used = update(tables.UserToken).where(col(tables.UserToken.token_hash) == row.token_hash)
                session.exec(used.values(used_at=now))
        return row.user


def _lives(row: tables.UserToken, now: datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)
