"""Who users and guests are, and the jobs they share or take along.

Tokens are random and shown once; only their SHA-256 is kept, which is enough for
a text of 256 random bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import delete, insert, literal
from sqlmodel import Session, col, select

from multiblast import database as tables  # so: most processes need no such table
from multiblast.accounts.request_ids import RequestIds
from multiblast.accounts.requester import GUEST, Requester, check_name
from multiblast.accounts.usage import UsageLimits
from multiblast.accounts.user_tokens import UserTokens, hash_of, new_token
from multiblast.database import COUNTED, Database, Link, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError, Problem
from multiblast.settings import Policy


@dataclass(frozen=True, slots=True)
class LinkedGuest:
    """What became of a guest's jobs.

    Attributes:
        moved: Jobs the user did not have before.
        merged: Jobs the user had already; what they say about them stays.
    """

    user: str
    moved: int
    merged: int


class Accounts:
    """Who users and guests are."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy
        self.usage = UsageLimits(database, policy)
        self.tokens = UserTokens(database)
        self.request_ids = RequestIds(database)

    def requester(self, user: str = "", *, guest_token: str = "", share_tokens: Iterable[str] = ()) -> Requester:
        """Return who somebody is, by a name of which the caller has made sure that it is theirs, or by tokens.

        Raises:
            InvalidInputError: the name is not one a user can have, or there are a name and a guest's token.
            NotAllowedError: a token is unknown, or has expired.
        """
        if user and guest_token:
            raise InvalidInputError(Problem("give either a user's name or a guest's token, not both", "user"))
        with self._database.read() as session:
            shares = frozenset(_shared_job(session, token) for token in share_tokens)
            if guest_token:
                return Requester(_owner(_guest(session, guest_token)), shares=shares)
        if not user:
            return Requester(administrator=self._policy.trust_unnamed, shares=shares)
        check_name(user)
        return Requester(user, user in self._policy.administrators, shares)

    def check_submitter(self, requester: Requester, *, has_link: bool) -> None:
        """Make sure that somebody can read what they are about to submit, with a link to it or without.

        Raises:
            NotAllowedError: they have no name.
            InvalidInputError: without a link they could not; at one's own machine somebody without a name can.
        """
        if requester.administrator or self._policy.trust_unnamed:
            return
        if not requester.owner:
            raise NotAllowedError(
                "somebody without a name could not read what they submit: give a user's name or token, or be a guest"
            )
        if not has_link:
            reason = "without it in your list you could not read the job: leave this out"
            raise InvalidInputError(Problem(reason, "addToUserCollection"))

    def bearer(self, token: str, *, share_tokens: Iterable[str] = ()) -> Requester:
        """Return whose token this is, a user's or a guest's.

        Raises:
            NotAllowedError: a token is unknown, was revoked or has expired.
        """
        if not token:  # which elsewhere is nobody, who may be trusted
            raise NotAllowedError("an empty token is nobody's")
        if user := self.tokens.user(token):
            return self.requester(user, share_tokens=share_tokens)
        return self.requester(guest_token=token, share_tokens=share_tokens)

    def new_guest(self) -> str:
        """Make a guest; return its token, which is not kept and cannot be shown again."""
        token = new_token()
        with self._database.write() as session:
            session.add(tables.Guest(id=uuid4().hex, token_hash=hash_of(token)))
        return token

    def link_guest(self, guest_token: str, user: str) -> LinkedGuest:
        """Give everything of a guest to a user, in one transaction; may be repeated.

        Where both have a job, what the user says about it stays. The guest's token goes on working.

        Raises:
            InvalidInputError: the name is not one a user can have.
            NotAllowedError: the token is unknown.
        """
        check_name(user)
        with self._database.write() as session:
            guest = _guest(session, guest_token)
            owned = select(Link.job_id).where(Link.owner == user)
            mine = col(Link.owner) == _owner(guest)
            columns = [col(Link.job_id), col(Link.kind), col(Link.summary), col(Link.description), col(Link.created_at)]
            fresh = select(literal(user), *columns).where(mine, col(Link.job_id).not_in(owned))
            names = ["owner", "job_id", "kind", "summary", "description", "created_at"]
            inserted = session.connection().execute(insert(Link).from_select(names, fresh), execution_options=COUNTED)
            links = session.connection().execute(delete(Link).where(mine)).rowcount
            _move_usage(session, _owner(guest), user)
            guest.user = user
        return LinkedGuest(user, inserted.rowcount, links - inserted.rowcount)

    def share(self, job_id: str, *, granted_by: str = "", lasts: timedelta | None = None) -> str:
        """Let the holder of the returned token read a job, for good unless ``lasts`` is given; checks no rights."""
        token = new_token()
        expires_at = utc_now() + lasts if lasts is not None else None
        grant = tables.ShareGrant(
            token_hash=hash_of(token), job_id=job_id, granted_by=granted_by, expires_at=expires_at
        )
        with self._database.write() as session:
            session.add(grant)
        return token

    def end_shares(self, job_id: str) -> int:
        """Revoke all share tokens of a job; return how many there were."""
        with self._database.write() as session:
            statement = delete(tables.ShareGrant).where(col(tables.ShareGrant.job_id) == job_id)
            return session.connection().execute(statement).rowcount


def _guest(session: Session, token: str) -> tables.Guest:
    found = session.exec(select(tables.Guest).where(tables.Guest.token_hash == hash_of(token))).first()
    if found is None:
        raise NotAllowedError(
            "this token is unknown: check that it is whole, ask the administrator for one, or start as a new guest"
        )
    return found


def _owner(guest: tables.Guest) -> str:
    return GUEST + guest.id


def _shared_job(session: Session, token: str) -> str:
    grant = session.get(tables.ShareGrant, hash_of(token))
    if grant is None or (grant.expires_at is not None and grant.expires_at <= utc_now()):
        raise NotAllowedError("this share token is unknown or has expired: ask for a new one")
    return grant.job_id


def _move_usage(session: Session, guest: str, user: str) -> None:
    for used in session.exec(select(tables.Usage).where(tables.Usage.owner == guest)).all():
        own = session.get(tables.Usage, (user, used.hour)) or tables.Usage(owner=user, hour=used.hour)
        own.sequences += used.sequences
        session.add(own)
        session.delete(used)
