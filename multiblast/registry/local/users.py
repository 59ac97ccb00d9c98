"""Who works with a registry."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from multiblast.database import utc_now
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.registry.local.records import author_id, namespace_id
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import Secrets
from multiblast.registry.model.local_tables import User, UserAuthor
from multiblast.registry.model.names import check_name
from multiblast.registry.model.tables import Author

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

    Binding one again changes what is given, and the data store. By default the username is the namespace
    and the name as an author; the identifier is a URL such as an ORCID.

    Raises:
        InvalidInputError: a name that cannot be one.
    """
    check_name(username, "user")
    if identifier and not identifier.startswith(("http://", "https://")):
        raise InvalidInputError(
            f"{identifier!r} is no URL: write it whole, as in https://orcid.org/0000-0002-1825-0097"
        )
    with registry.writing() as session:
        user = session.exec(select(User).where(User.username == username)).first()
        namespace = namespace or (user.namespace if user else username)
        namespace_id(session, namespace)
        user = user or User(username=username, namespace=namespace, data_store="")
        user.namespace, user.data_store, user.last_updated = namespace, str(data_store.absolute()), utc_now()
        user.remote = remote or user.remote
        session.add(user)
        session.flush()
        link = session.exec(select(UserAuthor).where(UserAuthor.user_id == user.id)).first()
        if link is None or full_name or identifier:  # who only chooses another remote stays who they are
            author = author_id(session, full_name or username, identifier or None)
            link = link or UserAuthor(user_id=user.id or 0, author_id=author)
            link.author_id = author
            session.add(link)
    kept = Secrets(registry.directory)
    if not kept.get(f"user {username}"):
        kept.set(f"user {username}", secrets.token_hex(_TOKEN_BYTES))
    return binding(registry, username)


def binding(registry: Registry, username: str = "") -> RegistryUser:
    """Return a user: the named one, else ``$MULTIBLAST_REGISTRY_USER``, else who was bound last by this account.

    Raises:
        InvalidInputError: nobody was bound.
        NotFoundError: not this one was; or several others were, and none by this account.
    """
    username = username or os.environ.get(USER_VARIABLE, "") or _own_user(registry)
    query = select(User).order_by(col(User.last_updated).desc())
    with registry.session() as session:
        user = session.exec(query.where(User.username == username) if username else query).first()
        if user is None and not username:
            raise InvalidInputError("the registry does not know who you are; type `multiblast registry config NAME`")
        if user is None:
            raise NotFoundError("user", username, "bind one with `multiblast registry config NAME`")
        author = session.exec(select(Author).join(UserAuthor).where(UserAuthor.user_id == user.id)).first()
        identifier = (author.identifier or author.uuid) if author else ""
        return RegistryUser(user.username, user.namespace, user.data_store, user.remote, identifier)


def _own_user(registry: Registry) -> str:
    """Return who was bound last of those whose token this account has, or the only one there is; empty for nobody.

    Who shares a registry must not become the author of another's work because that one was bound last.
    """
    with registry.session() as session:
        names = list(session.exec(select(User.username).order_by(col(User.last_updated).desc())))
    ours = {name.removeprefix("user ") for name in Secrets(registry.directory).names() if name.startswith("user ")}
    if len(names) > 1 and not ours.intersection(names):
        raise NotFoundError(
            "user", "", f"{', '.join(sorted(names))} are bound by others: bind yourself, or say who with --user"
        )
    return next((name for name in names if name in ours), "")


def own_remote(registry: Registry, username: str = "") -> str:
    """Return the name of a user's remote, or of who was bound last; empty for the only one there is."""
    return binding(registry, username).remote if username or bound_users(registry) else ""


def bound_users(registry: Registry) -> list[RegistryUser]:
    """Return everybody who was bound, by name."""
    with registry.session() as session:
        names = session.exec(select(User.username).order_by(User.username)).all()
    return [binding(registry, name) for name in names]
