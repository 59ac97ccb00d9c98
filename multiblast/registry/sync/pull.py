"""Pulling: data products with their provenance and their files, from a remote registry into the local one."""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multiblast.errors import MultiblastError, StoreError
from multiblast.ids import Canonical, digest
from multiblast.registry.local.files import file_checksums, tampered
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import DETAILS
from multiblast.registry.model.names import product_name
from multiblast.registry.model.rows import Endpoint, FileLocation, Row
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary
from multiblast.registry.sync.transfer import contents_of, create_rows, trouble_of

__all__ = ["PULL_AT_ONCE", "Pull"]

PULL_AT_ONCE = 8
_SHA1 = re.compile(r"[0-9a-f]{40}")
_CHUNK = 100  # items whose rows are in memory at a time, and in one transaction
# Rows that lead to nothing else, or whose whole company came along when they did.
_PRUNED = {"namespace", "storage_root", "file_type", "author", "issue", "object", "object_component", "data_product",
           "code_run"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Item:
    """A wanted data product: its row, its name, and its file if that is to be fetched."""

    row: Row
    name: str
    known: bool
    spot: FileLocation | None
    size_bytes: int = 0


class Pull:
    """One pull.

    Args:
        registry: Where to.
        remote: Where from.
        at_once: Files fetched at the same time.
        all_files: Fetch the files of the provenance too, not only those of the wanted products.
    """

    def __init__(
        self, registry: Registry, remote: Endpoint, *, at_once: int = PULL_AT_ONCE, all_files: bool = False
    ) -> None:
        self._registry, self._remote = registry, remote
        self._copies = RemoteCopies(registry, remote.name)
        self._at_once, self._all_files = at_once, all_files

    def plan(self, products: Sequence[Row], namespaces: dict[str, str]) -> TransferSummary:
        """Say what a pull would do with data products of the remote, without doing it."""
        started, before = time.monotonic(), self._remote.requests
        items = [item for chunk in _chunks(products) for item in self._items(chunk, namespaces, sizes=True)]
        outcomes = [
            Outcome(
                item.name, ItemResult.KNOWN if item.known and not item.spot else ItemResult.PLANNED, "", item.size_bytes
            )
            for item in items
        ]
        told: dict[str, Canonical] = {
            "registries": [self._registry.name, self._remote.name],
            "newest": {kind: self._remote.newest(kind) for kind in _news_kinds()},
            "items": [(outcome.item, outcome.result.value) for outcome in outcomes],
        }
        seconds = time.monotonic() - started
        return TransferSummary(
            outcomes, self._notes(), self._remote.requests - before, seconds, digest("registry-answer/1", told)
        )

    def run(
        self, products: Sequence[Row], namespaces: dict[str, str], progress: Callable[[Outcome], None] = lambda _: None
    ) -> TransferSummary:
        """Pull data products of the remote.

        Args:
            products: Their rows.
            namespaces: Names of namespaces by reference.
            progress: Told of each item that is done.
        """
        started, before = time.monotonic(), self._remote.requests
        report = TransferSummary()
        tops = {kind: self._remote.newest(kind) for kind in _news_kinds()}
        report.notes += self._pull_news(tops)
        for chunk in _chunks(products):
            for outcome in self._pull(self._items(chunk, namespaces, sizes=False), report):
                report.outcomes.append(outcome)
                progress(outcome)
        with self._registry.transaction():
            for kind, newest in tops.items():
                self._copies.set_mark(kind, newest)
        report.notes += self._notes()
        report.requests, report.seconds = self._remote.requests - before, time.monotonic() - started
        return report

    def _notes(self) -> list[str]:
        return [self._remote.warning] if self._remote.warning else []

    def _items(self, products: Sequence[Row], namespaces: dict[str, str], *, sizes: bool) -> list[_Item]:
        """Find out which products are here, and which files are not."""
        known = {row.reference: number for row in products if (number := self._known(row))}
        held = self._held(list(known.values()))
        lacking = [row for row in products if row.reference not in known or known[row.reference] not in held]
        spots = self._spots(lacking)
        here = self._registry.files.holding(spot.sha1 for spot in spots.values())
        wanted = {
            row.reference: spot
            for row in lacking
            if (spot := spots.get(row.reference))
            and spot.sha1 not in here
            and not self._has_another(row, spot, namespaces)
        }
        lengths = self._sizes(wanted) if sizes else {}
        return [
            _Item(
                row,
                _name(row, namespaces),
                row.reference in known,
                wanted.get(row.reference),
                lengths.get(row.reference, 0),
            )
            for row in products
        ]

    def _known(self, row: Row) -> int | None:
        """Return the local number of a product that was pulled as it is now."""
        number = self._copies.here(row.id)
        if number is None:
            return None
        (local,) = self._registry.read("data_product", [str(number)])
        item = int(local.fields["object"])
        return number if self._copies.there("object", [item]).get(item) == row.fields["object"] else None

    def _has_another(self, row: Row, spot: FileLocation, namespaces: dict[str, str]) -> bool:
        """Tell whether this version is here with another content: there will be a conflict, and nothing to fetch."""
        same = self._registry.products(namespaces.get(row.fields["namespace"], ""), [row.fields["name"]])
        items = [other.fields["object"] for other in same if other.fields["version"] == row.fields["version"]]
        hashes = contents_of(self._registry.read("object", items), self._registry)
        return any(sha1 and sha1 != spot.sha1 for sha1 in hashes)

    def _held(self, products: list[int]) -> set[int]:
        """Return those of some local products whose file is here, or that have none."""
        rows = self._registry.read("data_product", map(str, products))
        objects = {row.reference: row for row in self._registry.read("object", {r.fields["object"] for r in rows})}
        locations = {item.fields["storage_location"] for item in objects.values()} - {None}
        hashes = {row.reference: row.fields["hash"] for row in self._registry.read("storage_location", locations)}
        here = self._registry.files.holding(hashes.values())
        found: set[int] = set()
        for row in rows:
            location = objects[row.fields["object"]].fields["storage_location"]
            if location is None or hashes[location] in here:
                found.add(int(row.reference))
        return found

    def _spots(self, products: Sequence[Row]) -> dict[str, FileLocation]:
        places = self._places(self._remote.read("object", {row.fields["object"] for row in products}))
        return {row.reference: spot for row in products if (spot := places.get(row.fields["object"]))}

    def _places(self, objects: Sequence[Row]) -> dict[str, FileLocation]:
        """Return where the files of objects are."""
        references = {item.fields["storage_location"] for item in objects} - {None}
        locations = {row.reference: row for row in self._remote.read("storage_location", references)}
        roots = {
            row.reference: row.fields["root"]
            for row in self._remote.read("storage_root", {row.fields["storage_root"] for row in locations.values()})
        }
        return {
            item.reference: FileLocation(
                roots[where.fields["storage_root"]], where.fields["path"], where.fields["hash"]
            )
            for item in objects
            if (where := locations.get(item.fields["storage_location"] or ""))
        }

    def _sizes(self, spots: dict[str, FileLocation]) -> dict[str, int]:
        def size(spot: FileLocation) -> int:
            try:
                return self._remote.size(spot)
            except MultiblastError:
                return 0  # the transfer itself will say what is wrong

        with ThreadPoolExecutor(self._at_once) as pool:
            return dict(zip(spots, pool.map(size, spots.values()), strict=True))

    def _pull(self, items: list[_Item], report: TransferSummary) -> Iterator[Outcome]:
        broken, sizes = self._fetch_all([item for item in items if item.spot])
        fresh = [item for item in items if not item.known]
        closure = collect_rows(self._remote, [item.row for item in fresh], self._complete)
        if self._all_files:
            report.notes += self._fetch_provenance(closure)
        troubles = self._record(closure, [item.row for item in fresh], broken, report)
        self._registry.adopt(item.spot.sha1 for item in items if item.spot and item.row.reference not in broken)
        for item in items:
            if item.row.reference in broken:
                yield Outcome(item.name, ItemResult.FAILED, broken[item.row.reference])
            elif trouble := troubles.get(item.row.reference):
                yield Outcome(item.name, *trouble)
            elif not item.known:
                yield Outcome(item.name, ItemResult.DONE, "", sizes.get(item.row.reference, 0))
            else:
                restored = ItemResult.RESTORED if item.spot else ItemResult.KNOWN
                yield Outcome(item.name, restored, "", sizes.get(item.row.reference, 0))

    def _complete(self, rows: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of some rows that are here with all that goes along with them."""
        return set(self._copies.all_here(row for row in rows if row[0] in _PRUNED))

    def _record(
        self, closure: RowGraph, roots: list[Row], broken: dict[str, str], report: TransferSummary
    ) -> dict[str, tuple[ItemResult, str]]:
        mentioned = set(closure.rows) | {target for row in closure.rows.values() for target in row.targets()}
        mentioned |= {("object_component", r) for row in closure.of("issue") for r in row.fields["component_issues"]}
        there = self._copies.all_here(mentioned)
        with self._registry.transaction():
            rows = create_rows(
                closure,
                roots,
                self._registry,
                there,
                keep=self._copies.keep_pulled,
                broken={("data_product", reference): reason for reference, reason in broken.items()},
            )
            hashes = {str(row.fields["hash"]) for row in closure.of("storage_location")}
            self._registry.adopt(self._registry.files.holding(hashes))
        report.notes += rows.notes
        return {root.reference: trouble for root in roots if (trouble := trouble_of(root, closure, rows))}

    def _fetch_all(self, items: list[_Item]) -> tuple[dict[str, str], dict[str, int]]:
        """Fetch files; return why some could not be, and the length of the others."""

        def attempt(item: _Item) -> int | str:
            try:
                return self.fetch(item.spot) if item.spot else 0
            except MultiblastError as error:
                return str(error)

        with ThreadPoolExecutor(self._at_once) as pool:
            done = dict(zip((item.row.reference for item in items), pool.map(attempt, items), strict=True))
        broken = {reference: result for reference, result in done.items() if isinstance(result, str)}
        return broken, {reference: result for reference, result in done.items() if isinstance(result, int)}

    def _fetch_provenance(self, closure: RowGraph) -> list[str]:
        """Fetch every file of a closure that the remote keeps itself; return what was in the way."""
        places = self._places(closure.of("object"))
        wanted = {spot.sha1: spot for spot in places.values() if spot.root == self._remote.data_root}
        missing = [spot for sha1, spot in wanted.items() if sha1 not in self._registry.files.holding(wanted)]

        def attempt(spot: FileLocation) -> str:
            try:
                self.fetch(spot)
            except MultiblastError as error:
                return f"a file of the provenance is not here: {error}"
            return ""

        with ThreadPoolExecutor(self._at_once) as pool:
            return [note for note in pool.map(attempt, missing) if note]

    def fetch(self, spot: FileLocation) -> int:
        """Bring one file here; return its length in bytes.

        An interrupted download is continued. What does not have the hash that the
        registry describes is thrown away.

        Raises:
            StoreError: it cannot be had, or is not what it should be.
        """
        if not _SHA1.fullmatch(spot.sha1):
            raise StoreError(f"{spot.url} is said to have the hash {spot.sha1!r}, which is no SHA-1: it is not fetched")
        part = self._registry.directory / "incoming" / f"{spot.sha1}.part"
        try:
            with _alone(part):
                if not self._registry.files.holds(spot.sha1):
                    self._download(spot, part)
                part.unlink(missing_ok=True)
        except OSError as error:
            if isinstance(error, MultiblastError):  # several of them are errors of the system, too
                raise
            reason = error.strerror or str(error)
            raise StoreError(f"cannot write {str(part)!r}: {reason}; make room and run the same again") from error
        kept = self._registry.files.get(spot.sha1)
        return kept.size_bytes if kept else 0

    def _download(self, spot: FileLocation, part: Path) -> None:
        if spot.root.startswith("file:") and spot.root != self._remote.data_root:
            raise StoreError(f"its file is said to be {spot.url}, which is on another machine")
        begun = part.stat().st_size > 0
        self._remote.download(spot, part)
        found = file_checksums(part)
        if found.sha1 != spot.sha1 and begun:  # what was there was of something else: once more from the start
            part.write_bytes(b"")
            self._remote.download(spot, part)
            found = file_checksums(part)
        if found.sha1 != spot.sha1:
            part.unlink()
            raise tampered(spot.url, spot.sha1, found.sha1)
        self._registry.files.keep(part, found)

    def _pull_news(self, tops: dict[str, int]) -> list[str]:
        """Bring what was said at the remote, since the last pull, about what is here."""
        report = TransferSummary()
        for kind, top in tops.items():
            mark = self._copies.mark(kind)
            if mark is None or top <= mark:
                continue
            fresh = [row for row in self._remote.since(kind, mark) if self._concerns_us(row)]
            if fresh:
                closure = collect_rows(self._remote, fresh, self._complete)
                troubles = self._record(closure, fresh, {}, report)
                report.notes += [f"not pulled: {reason}" for _, reason in troubles.values()]
        return report.notes

    def _concerns_us(self, row: Row) -> bool:
        if self._copies.knows(row.id):
            return False
        if parts := {"code_run": "outputs", "issue": "component_issues"}.get(row.kind):
            return any(self._copies.knows(("object_component", reference)) for reference in row.fields[parts])
        owners = {kind: name for kind, name in row.targets() if kind in ("object", "data_product")}
        return any(self._copies.knows(owner) for owner in owners.items())


def _news_kinds() -> list[str]:
    """Return the kinds that say something about rows that exist already."""
    return sorted({kind for details in DETAILS.values() for kind, _ in details} - {"data_product"})


def _name(row: Row, namespaces: dict[str, str]) -> str:
    namespace = namespaces[row.fields["namespace"]]
    return product_name(namespace, row.fields["name"], row.fields["version"])


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Hold a file that is being fetched, so that two pulls at once do not write to it both."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
