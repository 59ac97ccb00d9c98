"""A row as registries exchange it, whichever registry it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.local_tables import StoredFile

__all__ = ["Creation", "Endpoint", "FileLocation", "Row", "read_time", "write_time"]

Fields = dict[str, Any]


@dataclass(slots=True)
class Row:
    """One row.

    Attributes:
        kind: What it is, see `multiblast.registry.model.kinds`.
        reference: What its registry calls it.
        fields: Values by name; a reference is what its registry calls the other row, a list holds many of them.
        details: Of rows that refer back to this one, where its registry says so: ``kind.field`` to references.
    """

    kind: str
    reference: str
    fields: Fields
    details: dict[str, list[str]] = field(default_factory=dict)

    @property
    def id(self) -> tuple[str, str]:
        """Kind and reference."""
        return self.kind, self.reference

    def targets(self) -> Iterable[tuple[str, str]]:
        """Yield kind and reference of every row that this one brings along."""
        kind = KINDS[self.kind]
        for name, target in kind.references.items():
            if self.fields.get(name):
                yield target, self.fields[name]
        for name, listed in kind.lists.items():
            if listed.followed:
                for reference in self.fields.get(name) or ():
                    yield listed.kind, reference


@dataclass(frozen=True, slots=True)
class FileLocation:
    """Where a file is: a root, and a path in it."""

    root: str
    path: str
    sha1: str

    @property
    def url(self) -> str:
        """The file's address."""
        return self.root.rstrip("/") + "/" + self.path.lstrip("/")


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
        secrets: What opens it, which must not stand in anything that leaves.
    """

    shares_objects: bool
    secrets: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tells this registry from others."""

    @property
    def requests(self) -> int:
        """How many requests were sent to it."""

    @property
    def warning(self) -> str:
        """What a person should know of it; empty for nothing."""

    def read(self, kind: str, references: Iterable[str]) -> list[Row]:
        """Return rows by reference; raises `NotFoundError` for one that is not there."""

    def details(self, kind: str, field_name: str, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of ``kind`` whose field refers to one of ``rows``."""

    def find(self, kind: str, many: Sequence[Fields]) -> list[Row | None]:
        """Look rows up by what tells them from others, each by the first of its kind's keys that it has whole."""

    def create(self, kind: str, many: Sequence[Fields]) -> list[Creation]:
        """Make rows, or find those that exist already."""

    def products(self, namespace: str, patterns: Sequence[str]) -> list[Row]:
        """Return the data products of a namespace that have one of some names, ``*`` standing for anything."""

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return an object for each location that has one, by reference."""

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind; 0 if there is none."""

    def since(self, kind: str, number: int) -> list[Row]:
        """Return the rows of a kind that are newer than a number."""

    def transaction(self) -> AbstractContextManager[None]:
        """Keep what is created inside whole or not at all, where the registry can."""

    @property
    def data_root(self) -> str:
        """The root under which this registry keeps files."""

    def size(self, spot: FileLocation) -> int:
        """Return a file's length in bytes."""

    def download(self, spot: FileLocation, part: Path) -> None:
        """Write a file, going on behind what ``part`` has already."""

    def upload(self, kept: StoredFile, content: Callable[[], Iterator[bytes]]) -> bool:
        """Keep a file under its content; return whether it is certain that it arrived whole.

        Args:
            kept: Its digests and length.
            content: Gives its bytes, as often as it is asked.
        """

    def close(self) -> None:
        """Give connections back."""

    def check_upload(self, sha1: str) -> bool:
        """Tell whether what is given out under a hash has that hash, by reading it all."""

    def path_of(self, kept: StoredFile) -> str:
        """Return the path under the data root of a content."""


def read_time(text: str) -> datetime:
    """Read a time; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def write_time(time: datetime) -> str:
    """Write a time as every registry writes it: UTC, with a Z."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
