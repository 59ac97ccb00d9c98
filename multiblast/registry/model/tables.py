"""The tables that registries exchange: FAIR's data model with all its constraints.

Column names are those of the FAIR registry's REST API, with ``_id`` after a reference. All times are UTC.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData, Text, UniqueConstraint, event, insert
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapper
from sqlmodel import Field, SQLModel

from multiblast.database import UtcDateTime, utc_now

WHOLE_OBJECT = "whole_object"


def _no_wildcards(column: str) -> CheckConstraint:
    """Return the condition that a name has none of ``[]?*``, in words that every database knows."""
    condition = f"replace(replace(replace(replace({column}, '[', ''), ']', ''), '?', ''), '*', '') = {column}"
    return CheckConstraint(condition, name=column)


def _unique_id() -> Any:
    return Field(default_factory=lambda: str(uuid4()), unique=True, max_length=36)


def reference(table: str, *, unique: bool = False, optional: bool = False) -> Any:
    """Return the column of a reference to a row that then cannot be deleted."""
    return Field(foreign_key=f"{table}.id", ondelete="RESTRICT", index=not unique, unique=unique, nullable=optional)


def _many(name: str, table: str, field: str = "", *, followed: bool = True) -> Any:
    """Return one half of the key of a many-to-many table.

    In the half that owns the list, ``field`` is the list's name in the API, and
    ``followed`` whether what is in it goes along with its owner to other registries.
    """
    info = {"list": field, "followed": followed}
    return Field(
        sa_column=Column(name, ForeignKey(f"{table}.id", ondelete="CASCADE"), primary_key=True, index=True, info=info)
    )


class RegistryTable(SQLModel):
    """Base of the registry's tables, apart from any other SQLModel tables in the process."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class NumberedTable(RegistryTable):
    """A table whose rows have a number."""

    id: int | None = Field(default=None, primary_key=True)
    last_updated: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Namespace(NumberedTable, table=True):
    """A group of data products."""

    __tablename__ = "namespace"
    __table_args__ = (_no_wildcards("name"),)

    name: str = Field(unique=True)
    full_name: str | None = Field(default=None, unique=True)
    website: str | None = None


class StorageRoot(NumberedTable, table=True):
    """A place; with a location's path after it, it is a file's address."""

    __tablename__ = "storage_root"

    root: str = Field(unique=True)
    local: bool = False


class StorageLocation(NumberedTable, table=True):
    """Where one content is. ``hash`` is the SHA-1 of a file, or the commit of a code repository."""

    __tablename__ = "storage_location"
    __table_args__ = (UniqueConstraint("storage_root_id", "hash", "public"),)

    path: str = Field(sa_type=Text)
    hash: str = Field(index=True)
    public: bool = True
    storage_root_id: int = reference("storage_root")


class FileType(NumberedTable, table=True):
    """What kind of file an object is."""

    __tablename__ = "file_type"
    __table_args__ = (UniqueConstraint("name", "extension"),)

    name: str
    extension: str


class Author(NumberedTable, table=True):
    """A person or organisation; the UUID follows from the identifier if there is one."""

    __tablename__ = "author"
    __table_args__ = (
        CheckConstraint("name IS NOT NULL OR identifier IS NOT NULL", name="name_or_identifier"),
        _no_wildcards("name"),
    )

    name: str | None = None
    identifier: str | None = Field(default=None, unique=True)
    uuid: str = _unique_id()


class Object(NumberedTable, table=True):
    """Anything with provenance: what a data product, a configuration, a script or a repository is."""

    __tablename__ = "object"

    description: str | None = Field(default=None, sa_type=Text)
    uuid: str = _unique_id()
    storage_location_id: int | None = reference("storage_location", optional=True)
    file_type_id: int | None = reference("file_type", optional=True)


class ObjectAuthor(RegistryTable, table=True):
    """Who made an object."""

    __tablename__ = "object_author"

    object_id: int = _many("object_id", "object", "authors")
    author_id: int = _many("author_id", "author")


class Issue(NumberedTable, table=True):
    """Something wrong with components of objects; the larger the severity, the worse."""

    __tablename__ = "issue"
    __table_args__ = (CheckConstraint("severity >= 0", name="severity"),)

    severity: int = 1
    description: str = Field(sa_type=Text)
    uuid: str = _unique_id()


class ObjectComponent(NumberedTable, table=True):
    """A named part of an object; every object has the part that is the whole of it."""

    __tablename__ = "object_component"
    __table_args__ = (UniqueConstraint("object_id", "name"), _no_wildcards("name"))

    name: str
    description: str | None = Field(default=None, sa_type=Text)
    whole_object: bool = False
    object_id: int = reference("object")


class ComponentIssue(RegistryTable, table=True):
    """Which issues a component has."""

    __tablename__ = "component_issue"

    # An issue may be of components of many objects: one of them does not bring the others along.
    issue_id: int = _many("issue_id", "issue", "component_issues", followed=False)
    object_component_id: int = _many("object_component_id", "object_component")


class DataProduct(NumberedTable, table=True):
    """A name and version in a namespace, and the object it stands for. The version is strict semver."""

    __tablename__ = "data_product"
    __table_args__ = (UniqueConstraint("namespace_id", "name", "version"), _no_wildcards("name"))

    name: str
    version: str
    namespace_id: int = reference("namespace")
    object_id: int = reference("object")


class ExternalObject(NumberedTable, table=True):
    """Where a data product that comes from elsewhere comes from."""

    __tablename__ = "external_object"
    __table_args__ = (
        UniqueConstraint("identifier", "alternate_identifier", "alternate_identifier_type", "title", "version"),
        CheckConstraint(
            "(identifier IS NOT NULL OR alternate_identifier IS NOT NULL)"
            " AND (alternate_identifier IS NULL) = (alternate_identifier_type IS NULL)",
            name="identifier",
        ),
    )

    identifier: str | None = None
    alternate_identifier: str | None = None
    alternate_identifier_type: str | None = None
    title: str
    release_date: datetime = Field(sa_type=UtcDateTime)
    primary_not_supplement: bool = True
    description: str | None = Field(default=None, sa_type=Text)
    version: str
    data_product_id: int = reference("data_product", unique=True)
    original_store_id: int | None = reference("storage_location", optional=True)


class CodeRun(NumberedTable, table=True):
    """One time something was run: what went in, what came out, with which code and configuration."""

    __tablename__ = "code_run"

    run_date: datetime = Field(sa_type=UtcDateTime)
    description: str = Field(sa_type=Text)
    uuid: str = _unique_id()
    code_repo_id: int | None = reference("object", optional=True)
    model_config_id: int | None = reference("object", optional=True)
    submission_script_id: int = reference("object")


class CodeRunInput(RegistryTable, table=True):
    """What a code run read."""

    __tablename__ = "code_run_input"

    code_run_id: int = _many("code_run_id", "code_run", "inputs")
    object_component_id: int = _many("object_component_id", "object_component")


class CodeRunOutput(RegistryTable, table=True):
    """What a code run wrote."""

    __tablename__ = "code_run_output"

    code_run_id: int = _many("code_run_id", "code_run", "outputs")
    object_component_id: int = _many("object_component_id", "object_component")


class CodeRepoRelease(NumberedTable, table=True):
    """The release of a code that an object is."""

    __tablename__ = "code_repo_release"
    __table_args__ = (UniqueConstraint("name", "version"), _no_wildcards("name"))

    name: str
    version: str
    website: str | None = None
    object_id: int = reference("object", unique=True)


class Keyword(NumberedTable, table=True):
    """A word to find an object by."""

    __tablename__ = "keyword"
    __table_args__ = (UniqueConstraint("object_id", "keyphrase"), _no_wildcards("keyphrase"))

    keyphrase: str
    identifier: str | None = Field(default=None, unique=True)
    object_id: int = reference("object")


class Licence(NumberedTable, table=True):
    """What may be done with an object."""

    __tablename__ = "licence"

    licence_info: str = Field(sa_type=Text)
    identifier: str | None = Field(default=None, unique=True)
    object_id: int = reference("object")


class KeyValue(NumberedTable, table=True):
    """One fact about an object."""

    __tablename__ = "key_value"
    __table_args__ = (UniqueConstraint("object_id", "key"),)

    key: str
    value: str = Field(sa_type=Text)
    object_id: int = reference("object")


class QualityControlled(NumberedTable, table=True):
    """That an object was quality controlled, and the document that shows it."""

    __tablename__ = "quality_controlled"

    object_id: int = reference("object", unique=True)
    document_id: int = reference("object")


@event.listens_for(Author, "before_insert")
def _derive_uuid(_mapper: Mapper[Author], _connection: Connection, author: Author) -> None:
    if author.identifier:  # every FAIR registry gives it this UUID
        author.uuid = str(UUID(hashlib.sha256(author.identifier.encode()).hexdigest()[::2]))


@event.listens_for(Object, "after_insert")
def _make_whole(_mapper: Mapper[Object], connection: Connection, item: Object) -> None:
    """Give the object the component that is the whole of it."""
    connection.execute(
        insert(ObjectComponent).values(object_id=item.id, name=WHOLE_OBJECT, whole_object=True, last_updated=utc_now())
    )
