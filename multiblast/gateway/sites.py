"""Sites: places elsewhere whose machines take part, each known by a key of its own."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col, select

from multiblast.accounts.requester import check_name
from multiblast.accounts.user_tokens import hash_of, new_token
from multiblast.database import Database, Site, utc_now
from multiblast.errors import InvalidInputError, NotAllowedError, NotFoundError, Problem

_PREFIX = "mbs_"  # by which scanners for forgotten secrets may know them
_SEEN_EVERY = timedelta(minutes=1)


class Sites:
    """All sites."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, pool: str = "") -> str:
        """Return the key of a new site, which is not kept and cannot be shown again.

        Its workers look for work in Prefect's work pool ``pool``, by default one called as the site.
        A site that was removed may be added again, with another key.

        Raises:
            InvalidInputError: nothing can be called so, or there is such a site.
        """
        check_name(name, "name")
        check_name(pool or name, "pool")
        key = _PREFIX + new_token()
        with self._database.write() as session:
            there = session.get(Site, name)
            if there is not None and there.removed_at is None:
                reason = f"there is a site {name!r}: remove it first to give it another key"
                raise InvalidInputError(Problem(reason, "name"))
            session.merge(Site(name=name, key_hash=hash_of(key), pool=pool or name))
        return key

    def list(self) -> list[Site]:
        """Return all sites, also those that were removed, by name."""
        with self._database.read() as session:
            return list(session.exec(select(Site).order_by(col(Site.name))))

    def get(self, name: str) -> Site:
        """Return a site that takes part.

        Raises:
            NotFoundError: there is none of this name.
        """
        with self._database.read() as session:
            site = session.get(Site, name)
        if site is None or site.removed_at is not None:
            there = ", ".join(one.name for one in self.list() if one.removed_at is None)
            raise NotFoundError("site", name, f"choose one of {there}" if there else "add it: multiblast sites add")
        return site

    def remove(self, name: str) -> None:
        """Revoke a site's key, and all that it was given.

        Raises:
            NotFoundError: there is no such site.
        """
        self.get(name)
        with self._database.write() as session:
            session.exec(update(Site).where(col(Site.name) == name).values(removed_at=utc_now()))

    def of_key(self, key: str) -> Site:
        """Return whose key this is.

        Raises:
            NotAllowedError: it is no site's, or the site was removed.
        """
        with self._database.read() as session:
            site = session.exec(select(Site).where(Site.key_hash == hash_of(key))).first()
        if site is None or site.removed_at is not None:
            raise NotAllowedError("this is the key of no site: ask the administrator for one")
        now = utc_now()
        if site.used_at is None or now - site.used_at > _SEEN_EVERY:
            with self._database.write() as session:
                session.exec(update(Site).where(col(Site.name) == site.name).values(used_at=now))
        return site
