"""Rows as registries exchange them, one class per kind, and what a registry must offer to exchange them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast

from pydantic import BaseModel, Field

from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.local_tables import StoredFile
from multiblast.registry.model.values import (
    Extension,
    Hash,
    Name,
    NamespaceName,
    PlacePath,
    Root,
    SemanticVersion,
    Severity,
    Text,
    Time,
    Uuid,
    WebAddress,
    Word,
)

Id = tuple[str, str]  # kind and reference
Fields = Mapping[str, Any]


class Row(BaseModel):
    """One row. What another registry sends is checked by making it one of these.

    What its values may be is in `multiblast.registry.model.values`. A reference is what the row's registry calls
    another row: a number here, a URL elsewhere.

    Attributes:
        details: Of rows that refer back to this one, where its registry lists them: ``kind.field`` to references.
    """

    kind: ClassVar[str]
    reference: str
    details: dict[str, list[str]] = {}

    @classmethod
    def own(cls, fields: dict[str, Any]) -> Self:
        """Return a row of this installation's own tables, which is not checked again."""
        named = {_PYTHON_NAMES.get(name, name): value for name, value in fields.items()}
        return cast("Self", cls.model_construct(**named))

    def check(self) -> None:
        """Check everything in this row; raises pydantic's `ValidationError`."""
        self.model_validate({**self.fields, "reference": self.reference, "details": self.details})

    @property
    def id(self) -> Id:
        """Kind and reference."""
        return self.kind, self.reference

    @property
    def fields(self) -> dict[str, Any]:
        """Every field that registries exchange, as the API names it."""
        return {name: self.field(name) for name in KINDS[self.kind].fields}

    def field(self, name: str) -> Any:
        """Return a field as the API names it."""
        return getattr(self, _PYTHON_NAMES.get(name, name))

    def targets(self) -> Iterable[Id]:
        """Yield every row that this one brings along."""
        kind = KINDS[self.kind]
        for name, target in kind.references.items():
            if reference := self.field(name):
                yield target, reference
        for name, listed in kind.lists.items():
            if listed.followed:
                for reference in self.field(name):
                    yield listed.kind, reference


_PYTHON_NAMES = {"model_config": "run_config"}  # pydantic has a model_config of its own
RowT = TypeVar("RowT", bound=Row)


class NamespaceRow(Row):  # noqa: D101 - the tables describe each kind
    kind = "namespace"
    name: NamespaceName
    full_name: Text | None = None
    website: WebAddress | None = None


class StorageRootRow(Row):  # noqa: D101
    kind = "storage_root"
    root: Root
    local: bool = False


class StorageLocationRow(Row):  # noqa: D101
    kind = "storage_location"
    path: PlacePath
    hash: Hash
    public: bool = True
    storage_root: str


class FileTypeRow(Row):  # noqa: D101
    kind = "file_type"
    name: Text
    extension: Extension


class AuthorRow(Row):  # noqa: D101
    kind = "author"
    name: Word | None = None
    identifier: WebAddress | None = None
    uuid: Uuid | None = None


class ObjectRow(Row):  # noqa: D101
    kind = "object"
    description: Text | None = None
    uuid: Uuid
    storage_location: str | None = None
    file_type: str | None = None
    authors: list[str] = []


class IssueRow(Row):  # noqa: D101
    kind = "issue"
    severity: Severity
    description: Text
    uuid: Uuid
    component_issues: list[str] = []


class ObjectComponentRow(Row):  # noqa: D101
    kind = "object_component"
    object: str
    name: Word
    description: Text | None = None
    whole_object: bool = False


class DataProductRow(Row):  # noqa: D101
    kind = "data_product"
    namespace: str
    name: Name
    version: SemanticVersion
    object: str


class ExternalObjectRow(Row):  # noqa: D101
    kind = "external_object"
    data_product: str
    identifier: WebAddress | None = None
    alternate_identifier: Word | None = None
    alternate_identifier_type: Word | None = None
    title: Word
    release_date: Time
    primary_not_supplement: bool = True
    description: Text | None = None
    version: SemanticVersion | None = None
    original_store: str | None = None


class CodeRunRow(Row):  # noqa: D101
    kind = "code_run"
    run_date: Time
    description: Text
    uuid: Uuid
    code_repo: str | None = None
    run_config: str | None = Field(default=None, alias="model_config")
    submission_script: str
    inputs: list[str] = []
    outputs: list[str] = []


class CodeRepoReleaseRow(Row):  # noqa: D101
    kind = "code_repo_release"
    name: Word
    version: SemanticVersion
    website: WebAddress | None = None
    object: str


class KeywordRow(Row):  # noqa: D101
    kind = "keyword"
    object: str
    keyphrase: Word
    identifier: WebAddress | None = None


class LicenceRow(Row):  # noqa: D101
    kind = "licence"
    object: str
    licence_info: Text
    identifier: WebAddress | None = None


class KeyValueRow(Row):  # noqa: D101
    kind = "key_value"
    object: str
    key: Word
    value: Text


class QualityControlledRow(Row):  # noqa: D101
    kind = "quality_controlled"
    object: str
    document: str


ROWS: dict[str, type[Row]] = {row.kind: row for row in Row.__subclasses__()}


def join_place(root: str, path: str) -> str:
    """Return the address of a path at a root; a root with a query, such as ``…?query=``, goes on where it ends."""
    return root + path if "?" in root else root.rstrip("/") + "/" + path.lstrip("/")


@dataclass(frozen=True, slots=True)
class FileLocation:
    """Where a file is: a root, and a path in it."""

    root: str
    path: str
    sha1: str

    @property
    def url(self) -> str:
        """The file's address."""
        return join_place(self.root, self.path)


@dataclass(frozen=True, slots=True)
class Creation:
    """What came of asking for a row: the row there is now, whether it is new, or why there is none."""

    row: Row | None
    new: bool = False
    error: Exception | None = None


class Endpoint(Protocol):
    """One registry of the two that a transfer goes between.

    Attributes:
        shares_objects: Whether it cannot give out a content once two objects have it.
    """

    shares_objects: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """What opens it, which must not stand in anything that leaves."""

    @property
    def refused(self) -> Mapping[Id, str]:
        """The rows that were read so far and are none, with the reason; they are left out of every answer."""

    @property
    def name(self) -> str:
        """What identifies this registry."""

    @property
    def requests(self) -> int:
        """How many requests were sent to it."""

    @property
    def warning(self) -> str:
        """What a person should know of it; empty for nothing."""

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by reference, without the `refused`; a missing one is one of these, or a `NotFoundError`."""

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows of ``kind`` whose field refers to one of ``rows``."""

    def find(self, kind: type[RowT], many: Sequence[Fields]) -> list[RowT | None]:
        """Look rows up by what identifies them, each by the first of its kind's keys that it has whole."""

    def create(self, kind: str, many: Sequence[Fields]) -> list[Creation]:
        """Make rows, or find those that exist already."""

    def products(self, namespace: str, patterns: Sequence[str]) -> list[DataProductRow]:
        """Return the data products of a namespace that have one of some names, ``*`` standing for anything."""

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return an object for each location that has one, by reference."""

    def holding(self, hashes: Iterable[str]) -> dict[str, FileLocation]:
        """Return where this registry keeps files of its own that anybody may have, by their SHA-1."""

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind; 0 if there is none."""

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return the rows of a kind that are newer than a number."""

    def transaction(self) -> AbstractContextManager[None]:
        """Keep what is created inside whole or not at all, where the registry can."""

    @property
    def data_root(self) -> str:
        """The root under which this registry keeps files."""

    def own_roots(self) -> set[str]:
        """Return the roots under which this registry keeps files, however it and others write them."""

    def size(self, location: FileLocation) -> int:
        """Return a file's length in bytes."""

    def download(self, location: FileLocation, part: Path) -> None:
        """Write a file, going on behind what ``part`` has already."""

    def upload(self, kept: StoredFile, content: Callable[[], Iterator[bytes]]) -> bool:
        """Keep a file under its content; return whether it is certain that it arrived whole."""

    def close(self) -> None:
        """Give connections back."""

    def check_upload(self, sha1: str) -> bool:
        """Return whether what is given out under a hash has that hash, by reading it all."""

    def path_of(self, kept: StoredFile) -> str:
        """Return the path under the data root of a content."""


def write_time(time: datetime) -> str:
    """Write a time as every registry writes it: UTC, with a Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
