"""Finding what goes along with an item: everything it refers to, its details, and how it came to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from multiblast.errors import StoreError
from multiblast.registry.model.kinds import DETAILS
from multiblast.registry.model.rows import (
    ROWS,
    Endpoint,
    Id,
    ObjectComponentRow,
    ObjectRow,
    Row,
    RowT,
    StorageLocationRow,
)

# In the provenance of what is looked at together; a run after another takes four waves.
_MOST_ROWS, MOST_WAVES = 500_000, 4_000


class RowGraph:
    """Rows, and which leads to which.

    Attributes:
        rows: By kind and reference.
        leads: From each row to those that go along with it.
    """

    def __init__(self) -> None:
        self.rows: dict[Id, Row] = {}
        self.leads: dict[Id, set[Id]] = {}

    def add(self, row: Row) -> bool:
        """Take a row in; return whether it is new."""
        if row.id in self.rows:
            return False
        self.rows[row.id] = row
        self.leads[row.id] = set(row.targets())
        return True

    def lead(self, owners: Iterable[Row], details: Iterable[Row], field_name: str) -> None:
        """Note to which details rows lead, also where a registry lists one that turns out to be none."""
        for row in owners:
            for kind, name in DETAILS[row.kind]:
                self.leads[row.id] |= {(kind, one) for one in row.details.get(f"{kind}.{name}", ())}
        kinds = {row.kind for row in owners}
        for one in details:
            value = one.field(field_name)
            for owner in kinds:
                for reference in value if isinstance(value, list) else [value]:
                    if (owner, reference) in self.leads:
                        self.leads[owner, reference].add(one.id)

    def of(self, kind: type[RowT]) -> list[RowT]:
        """Return the rows of a kind."""
        return [row for row in self.rows.values() if isinstance(row, kind)]

    def get(self, kind: type[RowT], reference: str | None) -> RowT | None:
        """Return a row; None if it is not among these."""
        row = self.rows.get((kind.kind, reference or ""))
        return row if isinstance(row, kind) else None

    def sha1(self, item: ObjectRow) -> str:
        """Return the hash of an object's content; empty if it has none, or none that others may see."""
        location = self.get(StorageLocationRow, item.storage_location)
        return location.hash if location else ""

    def objects(self, components: Iterable[str]) -> list[ObjectRow]:
        """Return the objects that components are parts of, such as those a run read or wrote."""
        parts = [self.get(ObjectComponentRow, reference) for reference in components]
        return [item for part in parts if part and (item := self.get(ObjectRow, part.object))]

    def reachable(self, start: Id) -> set[Id]:
        """Return everything that goes along with a row, itself included; rows that are not here have no more."""
        seen, waiting = {start}, [start]
        while waiting:
            fresh = self.leads.get(waiting.pop(), set()) - seen
            seen |= fresh
            waiting += fresh
        return seen


def collect_rows(
    origin: Endpoint, roots: Iterable[Row], known: Callable[[set[Id]], set[Id]] = lambda _: set()
) -> RowGraph:
    """Collect rows in waves, each wave a few batched look-ups.

    Rows that are none are not in it, but what leads to them is.

    Args:
        origin: Where the rows are.
        roots: Where to begin.
        known: Returns those of some rows that need not be looked at, because all that goes along with them is known.

    Raises:
        StoreError: the registry leads from row to row without an end.
    """
    closure = RowGraph()
    wave = [row for row in roots if closure.add(row)]
    for number in count():
        if not wave:
            break
        if number > MOST_WAVES or len(closure.rows) > _MOST_ROWS:
            raise StoreError(f"{origin.name} leads from row to row without an end: {len(closure.rows):,} were read")
        found: list[Row] = []
        wanted: dict[str, set[str]] = {}
        targets = {target for row in wave for target in row.targets()} - closure.rows.keys()
        for kind, reference in targets - known(targets):
            wanted.setdefault(kind, set()).add(reference)
        for kind, references in sorted(wanted.items()):
            found += origin.read(ROWS[kind], references)
        for owner in sorted({row.kind for row in wave} & DETAILS.keys()):
            owners = [row for row in wave if row.kind == owner]
            for kind, field_name in DETAILS[owner]:
                details = origin.details(ROWS[kind], field_name, owners)
                closure.lead(owners, details, field_name)
                passed = known({row.id for row in details})
                found += [row for row in details if row.id not in passed]
        wave = [row for row in found if closure.add(row)]
    return closure
