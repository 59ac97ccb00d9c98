"""Tokens of users: what is kept of them, and when they are worth something."""

from __future__ import annotations

from datetime import timedelta

import pytest

from multiblast.accounts import Accounts
from multiblast.accounts.user_tokens import hash_of
from multiblast.database import Database, UserToken, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError
from multiblast.settings import Policy


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Policy(administrators=frozenset({"root"})))


def test_token_is_its_users_and_shows_when_it_was_used(accounts: Accounts) -> None:
    token = accounts.tokens.make("ann", "laptop")
    assert accounts.tokens.list("ann")[0].used_at is None
    assert (accounts.bearer(token).owner, accounts.bearer(token).administrator) == ("ann", False)
    assert accounts.bearer(accounts.tokens.make("root", "laptop")).administrator
    [kept] = accounts.tokens.list("ann")
    assert kept.used_at is not None
    assert utc_now() - kept.used_at < timedelta(minutes=1)


def test_token_is_kept_as_a_hash_only(accounts: Accounts, database: Database) -> None:
    token = accounts.tokens.make("ann", "laptop")
    with database.read() as session:
        kept = session.connection().exec_driver_sql("SELECT * FROM user_token").one()
    assert token not in str(kept)
    assert "token_hash" not in accounts.tokens.list()[0].facts()


def test_token_that_was_revoked_or_expired_is_refused(accounts: Accounts, database: Database) -> None:
    first, second = accounts.tokens.make("ann", "one"), accounts.tokens.make("ann", "two", lasts=timedelta(days=1))
    assert accounts.tokens.revoke("ann", "one") == 1
    with database.write() as session:
        row = session.get_one(UserToken, hash_of(second))
        row.expires_at = utc_now()
        session.add(row)
    for token in (first, second, "mb_unknown", "unknown", ""):
        with pytest.raises(NotAllowedError):
            accounts.bearer(token)
    with pytest.raises(NotFoundError):
        accounts.tokens.revoke("ann")


@pytest.mark.parametrize(("user", "name"), [("", "x"), ("guest:1", "x"), ("ann", " x"), ("ann", "laptop")])
def test_token_is_refused_to_a_name_that_cannot_be(accounts: Accounts, user: str, name: str) -> None:
    accounts.tokens.make("ann", "laptop")
    with pytest.raises(InvalidInputError):
        accounts.tokens.make(user, name)
