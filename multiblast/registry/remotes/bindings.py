"""Who works with a registry, which remotes it knows, and the tokens of both, which are kept apart from everything."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.records import author_id, check_name, namespace_id
from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.model.local_tables import RemoteRegistry, User, UserAuthor
from multiblast.registry.model.rows import End
from multiblast.registry.model.tables import Author
from multiblast.registry.remotes.connection import Limits
from multiblast.registry.remotes.public_view import Masked
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.stores import LocalStore, Store

__all__ = ["Binding", "Remotes", "Secrets", "bind", "binding", "bound_users", "open_remote"]

_TOKEN_BYTES = 20  # 40 hexadecimal digits, as FAIR registries have them
USER_VARIABLE = "MULTIBLAST_REGISTRY_USER"


@dataclass(frozen=True, slots=True)
class Binding:
    """Somebody who works with a registry.

    Attributes:
        username: Their name here.
        namespace: Where their data products are unless a configuration says otherwise.
        data_store: The directory for files of runs.
        remote: The name of the remote they use unless they say otherwise; empty for the only one.
        identifier: Such as an ORCID, or the UUID of the author they are.
    """

    username: str
    namespace: str
    data_store: str
    remote: str = ""
    identifier: str = ""


class Secrets:
    """Tokens in a file that only its owner may read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "secrets.json"

    def get(self, name: str) -> str:
        """Return a token; empty if there is none."""
        return self._read().get(name, "")

    def set(self, name: str, token: str) -> None:
        """Keep a token; an empty one is forgotten."""
        kept = {**self._read(), name: token}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({key: value for key, value in kept.items() if value}, file)
        temporary.replace(self._path)

    def all(self) -> list[str]:
        """Return every token, so that none leaves."""
        return list(self._read().values())

    def _read(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return kept


def bind(  # noqa: PLR0913 - the facts of a user
    registry: Registry,
    username: str,
    data_store: Path,
    *,
    namespace: str = "",
    full_name: str = "",
    identifier: str = "",
    remote: str = "",
) -> Binding:
    """Bind a user and a namespace to a data store, with a token for scripts; several users may share one.

    Args:
        registry: Where.
        username: Who; a second time changes what is said.
        data_store: The directory for files of runs.
        namespace: By default the username.
        full_name: Their name as an author; by default the username.
        identifier: A URL that identifies them, such as an ORCID.
        remote: The name of their remote.

    Raises:
        InvalidInputError: a name that cannot be one.
    """
    namespace = namespace or username
    check_name(username, "user")
    if identifier and not identifier.startswith(("http://", "https://")):
        raise InvalidInputError(
            f"{identifier!r} is no URL: write it whole, as in https://orcid.org/0000-0002-1825-0097"
        )
    with registry.writing() as session:
        namespace_id(session, namespace)
        user = session.exec(select(User).where(User.username == username)).first()
        user = user or User(username=username, namespace=namespace, data_store="")
        user.namespace, user.data_store, user.last_updated = namespace, str(data_store.absolute()), utc_now()
        user.remote = remote or user.remote
        session.add(user)
        session.flush()
        author = author_id(session, full_name or username, identifier or None)
        link = session.exec(select(UserAuthor).where(UserAuthor.user_id == user.id)).first()
        link = link or UserAuthor(user_id=user.id or 0, author_id=author)
        link.author_id = author
        session.add(link)
    kept = Secrets(registry.directory)
    if not kept.get(f"user {username}"):
        kept.set(f"user {username}", secrets.token_hex(_TOKEN_BYTES))
    return binding(registry, username)


def binding(registry: Registry, username: str = "") -> Binding:
    """Return a user: the named one, else ``$MULTIBLAST_REGISTRY_USER``, else who was bound last.

    Raises:
        NotFoundError: nobody was bound, or not this one.
    """
    username = username or os.environ.get(USER_VARIABLE, "")
    query = select(User).order_by(col(User.last_updated).desc())
    with registry.session() as session:
        user = session.exec(query.where(User.username == username) if username else query).first()
        if user is None:
            raise NotFoundError("user", username, "bind one with `multiblast registry config NAME`")
        author = session.exec(select(Author).join(UserAuthor).where(UserAuthor.user_id == user.id)).first()
        identifier = (author.identifier or author.uuid) if author else ""
        return Binding(user.username, user.namespace, user.data_store, user.remote, identifier)


def bound_users(registry: Registry) -> list[Binding]:
    """Return everybody who was bound, by name."""
    with registry.session() as session:
        names = session.exec(select(User.username).order_by(User.username)).all()
    return [binding(registry, name) for name in names]


class Remotes:
    """The remote registries that a registry knows by name."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._secrets = registry, Secrets(registry.directory)

    def set(self, name: str, url: str, token: str = "", store: str = "") -> None:
        """Name a remote.

        Args:
            name: What it is called here.
            url: Of a FAIR registry's site, or of another multiblast registry's database.
            token: To write to a FAIR registry with; empty leaves what there is.
            store: The directory of another multiblast registry's files.
        """
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
        """Return what tells each of them from other registries: see `End.name`."""
        ends = [self.open(name) for name in self.names()]
        for end in ends:
            end.close()
        return [end.name for end in ends]

    def url(self, name: str = "") -> str:
        """Return a remote's URL; empty if there is none."""
        known = self._find(name)
        return known.url if known else ""

    def open(self, name: str = "", limits: Limits | None = None) -> End:
        """Return a remote: the named one, or the only one.

        Raises:
            NotFoundError: there is none of that name, or several to choose from.
        """
        known = self._find(name)
        if known is None:
            remedy = f"there is {', '.join(self.names()) or 'none'}; add one with `multiblast registry remote NAME URL`"
            raise NotFoundError("remote registry", name, remedy)
        store = LocalStore(known.store) if known.store else None
        return open_remote(known.url, self._secrets.get(f"remote {known.name}"), store, limits)

    def _find(self, name: str) -> RemoteRegistry | None:
        with self._registry.session() as session:
            if name:
                found = session.exec(select(RemoteRegistry).where(RemoteRegistry.name == name)).first()
            else:
                every = session.exec(select(RemoteRegistry)).all()
                found = every[0] if len(every) == 1 else None
            if found is not None:
                session.expunge(found)
            return found


def open_remote(url: str, token: str = "", store: Store | None = None, limits: Limits | None = None) -> End:
    """Return the remote registry at a URL.

    Args:
        url: Of a FAIR registry's site (``http…``), or of another multiblast registry's database.
        token: To write to a FAIR registry with.
        store: Where another multiblast registry keeps its files.
        limits: How patient to be with a FAIR registry.

    Raises:
        InvalidInputError: a database without a store.
    """
    if url.startswith(("http://", "https://")):
        return RestRegistry(url, token, limits)
    if store is None:
        raise InvalidInputError(f"{url!r} is a database: say where the files of that registry are, too")
    return Masked(Registry(open_database(url), store, Path()))
