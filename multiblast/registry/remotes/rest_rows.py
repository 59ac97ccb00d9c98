"""The rows of a FAIR data registry, read over its REST API with few requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from urllib.parse import urlsplit

from multiblast.errors import NotFoundError, StoreError
from multiblast.registry.local.secrets import split_password
from multiblast.registry.model.kinds import BACK_REFERENCES, KINDS, Kind
from multiblast.registry.model.rows import (
    ROWS,
    DataProductRow,
    Fields,
    Id,
    NamespaceRow,
    ObjectRow,
    Row,
    RowT,
)
from multiblast.registry.remotes.answers import (
    InvalidRowError,
    Page,
    number_of,
    parse_answer,
    parse_row,
    row_id,
)
from multiblast.registry.remotes.connection import Connection, RetryPolicy

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_FEW = 4  # as many rows are requested one by one before a whole page is
_SMALLEST_PAGE, _LARGEST_PAGE = 100, 500  # rows; a server takes seconds for a thousand
_MOST_PAGES = 2000  # of one list


class RestRows:
    """What a FAIR data registry has, and how it is asked; a row's reference is its URL.

    Args:
        url: Of the site, or of its API.
        token: To write with; reading needs none.
        limits: How patient to be, and how much to do at once.
    """

    def __init__(self, url: str, token: str = "", limits: RetryPolicy | None = None) -> None:
        url, password = split_password(url)
        self.site = url.rstrip("/").removesuffix("/api") + "/"
        self.name = self.site
        self.secrets = tuple(secret for secret in (token, password) if secret)
        self.connection = Connection(self.site + "api/", token, limits, password)
        self._refused: dict[Id, str] = {}
        self.base = self.connection.base
        self._pool = ThreadPoolExecutor(self.connection.limits.at_once, thread_name_prefix="registry")
        self._here = threading.local()
        self._namespaces: dict[str, str] = {}
        self._noting = threading.Lock()

    @property
    def refused(self) -> Mapping[Id, str]:
        """What the server sent and is no row: see `Endpoint.refused`."""
        return self._refused

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.connection.requests

    @property
    def warning(self) -> str:
        """What to report of the clocks."""
        return self.connection.clock_warning

    def close(self) -> None:
        """Give connections and threads back."""
        self._pool.shutdown(cancel_futures=True)
        self.connection.close()

    def together(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT]:
        """Do something with many items, some at once; return what came of it in their order.

        What is done in such work is done one after the other: else its threads could all wait for each other.
        """
        if getattr(self._here, "together", False):
            return list(map(work, items))

        def alone(item: ItemT) -> ResultT:
            self._here.together = True
            return work(item)

        return list(self._pool.map(alone, items))

    def read(self, kind: type[RowT], references: Iterable[str]) -> list[RowT]:
        """Return rows by URL: see `Endpoint.read`.

        Many are taken from pages of the whole list, as long as that is fewer requests.
        """
        wanted = {row_number(reference) for reference in references}
        rows: list[RowT | None] = []
        if len(wanted) > _FEW:
            for items, left in self._pages(kind, len(wanted)):
                for item in items:
                    if (number := self._number_of(kind, item)) in wanted:
                        wanted.discard(number)
                        rows.append(self._taken(kind, item))
                if len(wanted) <= _FEW or left > len(wanted):
                    break
        rows += self.together(lambda number: self.read_one(kind, number), wanted)
        return [row for row in rows if row]

    def read_one(self, kind: type[RowT], number: int) -> RowT | None:
        """Return a row by number; None if there is none, or it is none, which is noted."""
        reference = f"{self.base}{kind.kind}/{number}/"
        try:
            row = self._taken(kind, self.connection.get(reference), reference)
        except NotFoundError as error:
            self._note((kind.kind, reference), str(error))
            return None
        if row is not None and row.reference != reference:
            self._note((kind.kind, reference), f"{reference} answered with {row.reference}")
            return None
        return row

    def _taken(self, kind: type[RowT], item: Any, reference: str = "") -> RowT | None:
        """Return what was sent as a row; None if it is none, which is noted."""
        try:
            return parse_row(kind, item, self.base)
        except InvalidRowError as error:
            if known := (kind.kind, reference) if reference else row_id(kind.kind, item, self.base):
                self._note(known, str(error))
            return None

    def _note(self, row: Id, reason: str) -> None:
        with self._noting:
            self._refused.setdefault(row, reason)

    def _number_of(self, kind: type[Row], item: Mapping[str, Any]) -> int:
        known = row_id(kind.kind, item, self.base)
        return row_number(known[1]) if known else 0

    def _pages(
        self, kind: type[Row], rows: int, filters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[list[dict[str, Any]], int]]:
        """Yield pages as they came, the newest rows first, each with the number of pages that follow.

        Raises:
            StoreError: they lead elsewhere, or have no end.
        """
        size = min(max(2 * rows, _SMALLEST_PAGE), _LARGEST_PAGE)
        path = f"{kind.kind}/"
        query: dict[str, Any] | None = {**(filters or {}), "page_size": size}
        seen: set[int] = set()
        for number in range(1, _MOST_PAGES):
            page = parse_answer(Page, self.connection.get(path, query), self.site)
            yield page.results, max(0, -(-page.count // size) - number)
            if page.next is None:
                return
            fresh = {self._number_of(kind, item) for item in page.results} - seen
            following = urlsplit(page.next)
            if not fresh or not following.path.endswith(f"/api/{kind.kind}/"):
                raise StoreError(f"{self.site} lists its rows of kind {kind.kind} without an end, or elsewhere")
            seen |= fresh
            path, query = f"{kind.kind}/?{following.query}", None
        raise StoreError(f"{self.site} lists more than {_MOST_PAGES:,} pages of kind {kind.kind}")

    def details(self, kind: type[RowT], field_name: str, rows: Sequence[Row]) -> list[RowT]:
        """Return the rows that refer to others: see `Endpoint.details`."""
        place = f"{kind.kind}.{field_name}"
        if not rows:
            return []
        if place in BACK_REFERENCES.get(rows[0].kind, {}).values():
            return self.read(kind, {reference for row in rows for reference in row.details[place]})
        return self._referring(kind, field_name, {row.reference for row in rows})

    def _referring(self, kind: type[RowT], field_name: str, owners: set[str]) -> list[RowT]:
        """Return the rows of a kind that refer to one of some rows."""
        found: list[RowT | None] = []
        numbers = {row_number(owner) for owner in owners}
        if len(owners) > _FEW:
            for items, left in self._pages(kind, len(owners)):
                found += [self._taken(kind, item) for item in items if numbers & _numbers(item.get(field_name))]
                if left == 0:
                    return [row for row in found if row]
                if left > len(owners):
                    break
        one_by_one = self.together(lambda owner: self._list(kind, {field_name: owner}), numbers)
        rows = {row.reference: row for some in one_by_one for row in some}
        return [row for row in rows.values() if owners & _references(row.field(field_name))]

    def _list(self, kind: type[RowT], filters: Mapping[str, Any]) -> list[RowT]:
        pages = self._pages(kind, _LARGEST_PAGE, filters)
        return [row for items, _ in pages for item in items if (row := self._taken(kind, item))]

    def find(self, kind: type[RowT], many: Sequence[Fields]) -> list[RowT | None]:
        """Look rows up by what identifies them, many of them in pages: see `Endpoint.find`."""
        sought = [_sought(KINDS[kind.kind], fields) for fields in many]
        found: dict[Sought, RowT | None] = {(): None}
        missing = {one for one in sought if one}
        if len(missing) > _FEW:
            common = dict(set.intersection(*(set(one) for one in missing)))
            names = {tuple(name for name, _ in one) for one in missing}
            for items, left in self._pages(kind, len(missing), common):
                for item in items:
                    for known in {_described(kind, item, some) for some in names} & missing:
                        found[known] = self._taken(kind, item)
                missing -= found.keys()
                if left == 0:
                    missing.clear()
                if len(missing) <= _FEW or left > len(missing):
                    break
        single = list(missing)
        found |= dict(zip(single, self.together(lambda one: self._find(kind, one), single), strict=True))
        return [found.get(one) for one in sought]

    def _find(self, kind: type[RowT], one: Sought) -> RowT | None:
        # Compared once more with what was meant: a name's filter is a pattern there.
        described, names = KINDS[kind.kind], tuple(name for name, _ in one)
        found = [row for row in self._list(kind, dict(one)) if _values(described, row.fields, names) == one]
        return found[-1] if found else None  # the oldest

    def find_one(self, kind: type[RowT], fields: Fields) -> RowT | None:
        """Look one row up by what identifies it; None if there is none."""
        (found,) = self.find(kind, [fields])
        return found

    def products(self, namespace: str, patterns: Sequence[str]) -> list[DataProductRow]:
        """Return data products of a namespace by name: see `Endpoint.products`."""
        known = self._namespaces.get(namespace)
        if known is None:
            found = self.find_one(NamespaceRow, {"name": namespace})
            if found is None:
                return []
            known = self._namespaces[namespace] = found.reference
        mine = {"namespace": row_number(known)}
        if len(patterns) <= _FEW:
            several = self.together(lambda name: self._list(DataProductRow, {**mine, "name": name}), patterns)
        else:  # as many as there are in the namespace is fewer requests than one a name
            several = [self._list(DataProductRow, mine)]
        rows = {row.reference: row for some in several for row in some if row.namespace == known}
        return [row for row in rows.values() if any(fnmatchcase(row.name, one) for one in patterns)]

    def objects_at(self, locations: Iterable[str]) -> dict[str, str]:
        """Return an object for each location that has one: see `Endpoint.objects_at`."""
        rows = self._referring(ObjectRow, "storage_location", set(locations))
        return {row.storage_location: row.reference for row in rows if row.storage_location}  # the oldest of each

    def newest(self, kind: str) -> int:
        """Return the number of the newest row of a kind: see `Endpoint.newest`."""
        page = parse_answer(Page, self.connection.get(f"{kind}/", {"page_size": 1}), self.site)
        return max((self._number_of(ROWS[kind], item) for item in page.results), default=0)

    def since(self, kind: type[RowT], number: int) -> list[RowT]:
        """Return the rows of a kind that are newer than a number: see `Endpoint.since`."""
        found: list[RowT | None] = []
        for items, _ in self._pages(kind, _LARGEST_PAGE):
            fresh = [item for item in items if self._number_of(kind, item) > number]
            found += [self._taken(kind, item) for item in fresh]
            if len(fresh) < len(items):
                break
        return [row for row in found if row]


# Names and values of the fields that identify a row; empty if nothing does.
Sought = tuple[tuple[str, Any], ...]


def row_number(reference: str) -> int:
    """Return the number in a row's URL; raises `StoreError` for what is none."""
    try:
        return number_of(reference)
    except ValueError as error:
        raise StoreError(str(error)) from error


def _references(value: Any) -> set[str]:
    return set(value) if isinstance(value, list) else {value}


def _numbers(value: Any) -> set[int]:
    """Return the numbers of all rows that a field as it came refers to."""
    found: set[int] = set()
    for one in value if isinstance(value, list) else [value]:
        with suppress(ValueError):
            found.add(number_of(one))
    return found


def _sought(kind: Kind, fields: Fields) -> Sought:
    return _values(kind, fields, kind.key_of(fields))


def _values(kind: Kind, fields: Fields, names: Sequence[str]) -> Sought:
    return tuple((name, row_number(fields[name]) if name in kind.references else fields[name]) for name in names)


def _described(kind: type[Row], item: Mapping[str, Any], names: Sequence[str]) -> Sought:
    """Return what identifies an item of a page, by some of its fields; empty if it lacks one."""
    try:
        known = tuple(
            (name, number_of(item[name]) if name in KINDS[kind.kind].references else item[name]) for name in names
        )
        hash(known)
    except (KeyError, TypeError, ValueError):
        return ()
    return known
