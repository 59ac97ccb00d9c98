"""Who works with a registry, and the tokens, which are kept apart from everything."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.records import author_id, namespace_id
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import check_name
from multiblast.registry.model.tables import Author, User, UserAuthor

USER_VARIABLE = "MULTIBLAST_REGISTRY_USER"
_TOKEN_BYTES = 20  # 40 hexadecimal digits, as FAIR registries have them


@dataclass(frozen=True, slots=True)
class RegistryUser:
    """Somebody who works with a registry.

    Attributes:
        namespace: Where their data products are unless a configuration names another.
        data_store: The directory for files of runs.
        remote: The name of the remote they use by default; empty for the only one.
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
) -> RegistryUser:
    """Bind a user and a namespace to a data store, with a token for scripts; several users may share one.

    Binding one again changes what is recorded. By default the username is the namespace
    and the name as an author; the identifier is a URL such as an ORCID.

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


def binding(registry: Registry, username: str = "") -> RegistryUser:
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
        return RegistryUser(user.username, user.namespace, user.data_store, user.remote, identifier)


def own_remote(registry: Registry, username: str = "") -> str:
    """Return the name of a user's remote, or of who was bound last; empty for the only one there is."""
    return binding(registry, username).remote if username or bound_users(registry) else ""


def bound_users(registry: Registry) -> list[RegistryUser]:
    """Return everybody who was bound, by name."""
    with registry.session() as session:
        names = session.exec(select(User.username).order_by(User.username)).all()
    return [binding(registry, name) for name in names]
