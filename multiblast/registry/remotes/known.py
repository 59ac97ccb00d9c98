"""The remote registries that a registry knows by name."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from sqlmodel import select

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.local.users import Secrets
from multiblast.registry.model.names import check_name
from multiblast.registry.model.rows import Endpoint
from multiblast.registry.model.tables import RemoteRegistry
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.stores import Store, open_store


class Remotes:
    """The remote registries that a registry knows by name."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._secrets = registry, Secrets(registry.directory)

    def set(self, name: str, url: str, token: str = "", store: str = "") -> None:
        """Name a FAIR registry's site, or another multiblast's database and store; an empty token leaves the old."""
        check_name(name, "remote")
        with self._registry.writing() as session:
            remote = session.exec(select(RemoteRegistry).where(RemoteRegistry.name == name)).first()
            remote = remote or RemoteRegistry(name=name, url=url)
            remote.url, remote.store, remote.last_updated = url, store, utc_now()
            session.add(remote)
        if token:
            self._secrets.set(f"remote {name}", token)

    def names(self) -> list[str]:
        """Return the names, in their order."""
        with self._registry.session() as session:
            return list(session.exec(select(RemoteRegistry.name).order_by(RemoteRegistry.name)))

    def end_names(self) -> list[str]:
        """Return what identifies each of them: see `Endpoint.name`."""
        found: list[str] = []
        for name in self.names():
            with closing(self.open(name)) as end:
                found.append(end.name)
        return found

    def url(self, name: str = "") -> str:
        """Return a remote's URL; empty if there is none."""
        known = self._find(name)
        return known.url if known else ""

    def open(self, name: str = "") -> Endpoint:
        """Return a remote: the named one, or the only one.

        Raises:
            NotFoundError: there is none of that name, or several to choose from.
        """
        known = self._find(name)
        if known is None:
            remedy = f"there is {', '.join(self.names()) or 'none'}; add one with `multiblast registry remote NAME URL`"
            raise NotFoundError("remote registry", name, remedy)
        store = open_store(known.store) if known.store else None
        return open_remote(known.url, self._secrets.get(f"remote {known.name}"), store)

    def _find(self, name: str) -> RemoteRegistry | None:
        """Return the remote of a name, or without a name the only one."""
        query = select(RemoteRegistry)
        with self._registry.session() as session:
            known = session.exec(query.where(RemoteRegistry.name == name) if name else query).all()
        return known[0] if len(known) == 1 else None


def open_remote(url: str, token: str = "", store: Store | None = None) -> Endpoint:
    """Return the FAIR registry whose site is at a URL, or another multiblast's: its database's URL and its store.

    Raises:
        InvalidInputError: a database without a store.
    """
    if url.startswith(("http://", "https://")):
        return RestRegistry(url, token)
    if store is None:
        raise InvalidInputError(f"{url!r} is a database: say where the files of that registry are, too")
    return PublicView(Registry(open_database(url), store, Path()))
