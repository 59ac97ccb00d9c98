"""The remote registries that a registry knows by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from sqlmodel import select

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.secrets import Secrets, address_of, shown, split_password, with_password
from multiblast.registry.model.local_tables import RemoteRegistry
from multiblast.registry.model.names import check_name
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.stores import Store, open_store


class Remotes:
    """The remote registries that a registry knows by name."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._secrets = registry, Secrets(registry.directory)

    def set(self, name: str, url: str, token: str = "", store: str = "") -> bool:
        """Name a FAIR registry's site, or another multiblast's database and store.

        The token and a password in the URL are kept apart. Without new ones the old ones
        stay, but not for another address, whose owner they are none of the business of.

        Returns:
            Whether an old token or password was dropped.
        """
        check_name(name, "remote")
        check_address(url)
        url, password = split_password(url)
        kept = {f"remote {name}": token, f"password {name}": password}
        dropped = False
        with self._registry.writing() as session:
            remote = session.exec(select(RemoteRegistry).where(RemoteRegistry.name == name)).first()
            remote = remote or RemoteRegistry(name=name, url=url)
            moved = address_of(remote.url) != address_of(url)
            remote.url, remote.store, remote.last_updated = url, store, utc_now()
            session.add(remote)
        for key, secret in kept.items():
            if secret or moved:
                dropped |= bool(not secret and self._secrets.get(key))
                self._secrets.set(key, secret)
        return dropped

    def names(self) -> list[str]:
        """Return the names, in their order."""
        with self._registry.session() as session:
            return list(session.exec(select(RemoteRegistry.name).order_by(RemoteRegistry.name)))

    @contextmanager
    def open_all(self) -> Iterator[list[Endpoint]]:
        """Open each of them."""
        with ExitStack() as opened:
            yield [opened.enter_context(closing(self.open(name))) for name in self.names()]

    def url(self, name: str = "") -> str:
        """Return a remote's URL as anybody may see it; empty if there is none."""
        known = self._find(name)
        return shown(known.url) if known else ""

    def addresses(self) -> list[str]:
        """Return every URL that is kept, of remotes and of their stores, with what an earlier version left in it."""
        with self._registry.session() as session:
            known = session.exec(select(RemoteRegistry)).all()
        return [address for one in known for address in (one.url, one.store) if address]

    def open(self, name: str = "") -> Endpoint:
        """Return a remote: the named one, or the only one.

        Raises:
            NotFoundError: there is none of that name, or several to choose from.
        """
        known = self._find(name)
        if known is None:
            names = self.names()
            if names and not name:
                raise NotFoundError(
                    "remote registry", "", f"there are {', '.join(names)}: choose one with --remote, or for all "
                    "commands with `multiblast registry config USER --remote NAME`",
                )  # fmt: skip
            remedy = f"there is {', '.join(names) or 'none'}; add one with `multiblast registry remote NAME URL`, or "
            remedy += "record what a configuration registers without one: `multiblast registry register CONFIG`"
            raise NotFoundError("remote registry", name, remedy)
        store = open_store(known.store) if known.store else None
        url = with_password(known.url, self._secrets.get(f"password {known.name}"))
        return open_remote(url, self._secrets.get(f"remote {known.name}"), store)

    def _find(self, name: str) -> RemoteRegistry | None:
        """Return the remote of a name, or without a name the only one."""
        query = select(RemoteRegistry)
        with self._registry.session() as session:
            known = session.exec(query.where(RemoteRegistry.name == name) if name else query).all()
        return known[0] if len(known) == 1 else None


def check_address(url: str) -> None:
    """Refuse what is no address of a registry.

    Raises:
        InvalidInputError: it is none; the message has no password in it.
    """
    try:
        parts = urlsplit(url)
        is_right = bool(parts.scheme) and url.isprintable() and " " not in url and (parts.port or 0) >= 0
        is_right = is_right and (bool(parts.hostname) or parts.scheme not in ("http", "https"))
    except ValueError:
        is_right = False
    if not is_right:
        raise InvalidInputError(f"{shown(url)!r} is no address of a registry: write it as in https://data.example.org/")


def open_remote(url: str, token: str = "", store: Store | None = None) -> Endpoint:
    """Return the FAIR registry whose site is at a URL, or another multiblast's: its database's URL and its store.

    Raises:
        InvalidInputError: a database without a store.
    """
    if url.startswith(("http://", "https://")):
        return RestRegistry(url, token)
    if store is None:
        raise InvalidInputError(f"{shown(url)!r} is a database: say where the files of that registry are, too")
    return PublicView(Registry(open_database(url), store, Path()), foreign=True)
