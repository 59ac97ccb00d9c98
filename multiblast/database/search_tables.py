"""Tables of what searches and their upkeep need: who searches what, how fast that goes, and what nothing refers to."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from multiblast.database.tables import HexBytes, Table, UtcDateTime, utc_now


class Lease(Table, table=True):
    """The right to search for one result key, until a time."""

    key: str = Field(primary_key=True, sa_type=HexBytes)
    holder: str = Field(index=True, max_length=64)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class Speed(Table, table=True):
    """How fast one program goes through queries against one set of databases with one set of options.

    Attributes:
        key: Digest of program, databases and options.
        letters_per_second: Query letters a second of one single-threaded process, smoothed.
        bytes_per_letter: Compressed archive bytes per query letter, smoothed.
    """

    key: str = Field(primary_key=True, max_length=32)
    letters_per_second: float
    bytes_per_letter: float = 0.0
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class StoreIdentity(Table, table=True):
    """The mark of the store that the results are in; one row at most."""

    id: int = Field(default=1, primary_key=True)
    mark: str = Field(max_length=64)
    since: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Discarded(Table, table=True):
    """A stored object that nothing refers to any more; it goes once nobody can still be reading it."""

    key: str = Field(primary_key=True)
    since: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
