"""The tables that stay on this machine: who works here, which files are kept, what is known of other registries.

They are marked ``local`` in their info. All times are UTC.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from multiblast.database import UtcDateTime, utc_now
from multiblast.registry.model.tables import NumberedTable, RegistryTable, reference

_LOCAL = {"info": {"local": True}}


class User(NumberedTable, table=True):
    """Somebody who works with this registry, bound to a namespace and a data store."""

    __tablename__ = "user"
    __table_args__ = _LOCAL

    username: str = Field(unique=True)
    namespace: str
    data_store: str = Field(sa_type=Text)
    remote: str = ""


class UserAuthor(NumberedTable, table=True):
    """Which author a user is."""

    __tablename__ = "user_author"
    __table_args__ = _LOCAL  # a user is one of this installation, and nobody elsewhere

    user_id: int = reference("user", unique=True)
    author_id: int = reference("author")


class StoredFile(RegistryTable, table=True):
    """One content in the store, kept once whatever it is called.

    Attributes:
        sha1: What other registries know it by.
        sha256: What it is kept under.
    """

    __tablename__ = "stored_file"
    __table_args__ = _LOCAL

    sha1: str = Field(primary_key=True, max_length=40)
    sha256: str = Field(unique=True, max_length=64)
    size_bytes: int = Field(sa_type=BigInteger)
    stored_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class RemoteRegistry(NumberedTable, table=True):
    """Another registry, by the name it has here. Its token is kept apart."""

    __tablename__ = "remote_registry"
    __table_args__ = _LOCAL

    name: str = Field(unique=True)
    url: str = Field(sa_type=Text)
    store: str = Field(default="", sa_type=Text)


class RemoteCopy(RegistryTable, table=True):
    """That a row here is a row there."""

    __tablename__ = "remote_copy"
    __table_args__ = _LOCAL

    remote: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    row_id: int = Field(primary_key=True)
    reference: str = Field(index=True)


class RemoteMark(RegistryTable, table=True):
    """The newest row of a kind that was there at the last pull."""

    __tablename__ = "remote_mark"
    __table_args__ = _LOCAL

    remote: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    newest: int = Field(sa_type=BigInteger)


class Staged(RegistryTable, table=True):
    """A code run or an object that is to be pushed with all its provenance."""

    __tablename__ = "staged"
    __table_args__ = _LOCAL

    kind: str = Field(primary_key=True)
    row_id: int = Field(primary_key=True)
    at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
