"""Pulling: data products with their provenance and their files, from a remote registry into the local one."""

from __future__ import annotations

import fcntl
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multiblast.database import in_portions
from multiblast.errors import MultiblastError, StoreError
from multiblast.ids import Canonical, digest
from multiblast.registry.local.files import file_checksums, tampered
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.kinds import DETAILS
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import (
    ROWS,
    CodeRunRow,
    DataProductRow,
    Endpoint,
    FileLocation,
    Id,
    IssueRow,
    ObjectRow,
    Row,
    StorageLocationRow,
    StorageRootRow,
)
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.sync.summary import ItemResult, Outcome, Progress, TransferSummary, no_progress
from multiblast.registry.sync.transfer import AT_ONCE, Transfer, conflict, contents_of, create_rows, trouble_of

_PORTION = 100  # items whose rows are in memory at a time, and in one transaction
_SHA1 = re.compile(r"[0-9a-f]{40}")
# Once a row of these kinds is here, so is all that goes along with it: it was recorded in the same transaction.
# Rows of other kinds are details, and are requested each time.
_PRUNED = {"namespace", "storage_root", "file_type", "author", "issue", "object", "object_component", "data_product",
           "code_run"}  # fmt: skip
# The kinds that describe rows that may have been pulled before.
_NEWS = sorted({kind for details in DETAILS.values() for kind, _ in details} - {"data_product"})

Wanted = Mapping[ProductName, DataProductRow]
Fetches = Mapping[str, "Future[int | str]"]  # by the reference of the data product


@dataclass(frozen=True, slots=True)
class _Item:
    """A wanted data product: its row, its name, its file if that is to be fetched, and why it cannot be had."""

    row: DataProductRow
    name: str
    known: bool
    file: FileLocation | None
    size_bytes: int = 0
    conflict: str = ""


class Pull(Transfer):
    """One pull; with ``all_files`` also of the files of the provenance, not only of the wanted products."""

    def __init__(
        self, registry: Registry, remote: Endpoint, *, at_once: int = AT_ONCE, all_files: bool = False
    ) -> None:
        super().__init__(registry, remote, at_once)
        self._all_files = all_files

    def plan(self, products: Wanted, *, sizes: bool = True) -> TransferSummary:
        """Return what a pull would do with data products of the remote, without doing it.

        ``sizes``: with the bytes of each file, which is a request per file.
        """
        summary = TransferSummary()
        for portion in in_portions(products.items(), _PORTION):
            for item in self._items(portion, sizes=sizes):
                result = ItemResult.KNOWN if item.known and not item.file else ItemResult.PLANNED
                result = ItemResult.CONFLICT if item.conflict else result
                summary.outcomes.append(Outcome(item.name, result, item.conflict, item.size_bytes))
        answer: dict[str, Canonical] = {
            "registries": [self._registry.name, self._remote.name],
            "newest": dict(self._newest()),
            "items": [(outcome.item, outcome.result.value) for outcome in summary.outcomes],
        }
        summary.answer = digest("registry-answer/1", answer)
        return self._finish(summary)

    def run(self, products: Wanted, progress: Progress = no_progress) -> TransferSummary:
        """Pull data products of the remote; ``progress`` is called with each that is done."""
        summary = TransferSummary()
        self._doubt_copies(summary)
        newest = self._newest()  # before anything is read: what is added meanwhile is found the next time
        self._pull_news(newest, summary)
        for outcome in self._outcomes(products, summary):
            summary.outcomes.append(outcome)
            progress(outcome)
        with self._registry.transaction():
            for kind, number in newest.items():
                self._copies.set_mark(kind, number)
        return self._finish(summary)

    def _outcomes(self, products: Wanted, summary: TransferSummary) -> Iterator[Outcome]:
        """Pull portion by portion; the files of one are fetched while the next is looked up."""
        begun: deque[tuple[list[_Item], Fetches]] = deque()
        pool = ThreadPoolExecutor(self._at_once)
        try:
            for portion in in_portions(products.items(), _PORTION):
                items = self._items(portion, sizes=False)
                files = {item.row.reference: item.file for item in items if item.file and not item.conflict}
                if files:  # known once, and not found out by each thread
                    self._remote.own_roots()
                begun.append((items, {one: pool.submit(self._try_fetch, file) for one, file in files.items()}))
                if len(begun) > 1:
                    yield from self._pull(*begun.popleft(), summary)
            while begun:
                yield from self._pull(*begun.popleft(), summary)
        finally:
            pool.shutdown(cancel_futures=True)

    def _doubt_copies(self, summary: TransferSummary) -> None:
        """Forget what is remembered of a remote that was restored or emptied: its newest rows are other ones now."""
        for kind, row_type in (("object", ObjectRow), ("data_product", DataProductRow), ("code_run", CodeRunRow)):
            if not (known := self._copies.newest(kind)):
                continue
            (ours,) = self._registry.read(row_type, [str(known[0])])
            theirs = next(iter(self._remote.read(row_type, [known[1]])), None)
            if theirs is None or not self._are_one(ours, theirs):
                self._copies.forget()
                summary.notes.append(f"{self._remote.name} is not as it was at the last exchange: it was restored, "
                                     "emptied or changed, and what is here is compared with it again")  # fmt: skip
                return

    def _are_one(self, ours: Row, theirs: Row) -> bool:
        if isinstance(ours, DataProductRow) and isinstance(theirs, DataProductRow):
            return (ours.name, ours.version) == (theirs.name, theirs.version)
        if ours.field("uuid") == theirs.field("uuid"):
            return True
        if not (isinstance(ours, ObjectRow) and isinstance(theirs, ObjectRow)):
            return False
        here = contents_of([ours], self._registry)[ours.reference]  # another object may stand for it there
        return bool(here) and here == contents_of([theirs], self._remote)[theirs.reference]

    def _newest(self) -> dict[str, int]:
        return {kind: self._remote.newest(kind) for kind in _NEWS}

    def _items(self, products: Sequence[tuple[ProductName, DataProductRow]], *, sizes: bool) -> list[_Item]:
        """Find out which products are here, and which files are not."""
        known = self._known([row for _, row in products])
        held = self._held(known.values())
        lacking = {name: row for name, row in products if known.get(row.reference) not in held}
        places = self._places(self._remote.read(ObjectRow, {row.object for row in lacking.values()}))
        here = self._registry.files.holding(place.sha1 for place in places.values())
        conflicts = {
            row.reference: reason
            for name, row in lacking.items()
            if (place := places.get(row.object)) and (reason := self._conflict(name, place))
        }
        wanted = {
            row.reference: place
            for row in lacking.values()
            if (place := places.get(row.object)) and place.sha1 not in here and row.reference not in conflicts
        }
        # A length that cannot be had is 0: the transfer will report why.
        lengths = self._attempt_all(self._remote.size, wanted.values()) if sizes else [0] * len(wanted)
        size_of = {one: size if isinstance(size, int) else 0 for one, size in zip(wanted, lengths, strict=True)}
        return [
            _Item(
                row,
                str(name),
                row.reference in known,
                wanted.get(row.reference),
                size_of.get(row.reference, 0),
                conflicts.get(row.reference, ""),
            )
            for name, row in products
        ]

    def _known(self, rows: Sequence[DataProductRow]) -> dict[str, str]:
        """Return the local numbers of those products that were pulled as they are now."""
        here = self._copies.all_here(row.id for row in rows)
        ours = {row.reference: row for row in self._registry.read(DataProductRow, here.values())}
        there = self._copies.all_there(("object", row.object) for row in ours.values())
        return {
            row.reference: number
            for row in rows
            if (number := here.get(row.id))
            and (ours[number].name, ours[number].version) == (row.name, row.version)
            and there.get(("object", ours[number].object)) == row.object
        }

    def _conflict(self, name: ProductName, file: FileLocation) -> str:
        """Return that this version is here with another content, and is not fetched; empty if it is not."""
        same = self._registry.products(name.namespace, [name.name])
        items = [other.object for other in same if other.version == name.version]
        hashes = contents_of(self._registry.read(ObjectRow, items), self._registry)
        other = next((sha1 for sha1 in hashes.values() if sha1 and sha1 != file.sha1), "")
        return other and conflict(name.version, name.name, other, self._registry.name, file.sha1)

    def _held(self, products: Iterable[str]) -> set[str]:
        """Return those of some local products whose file is here, or that have none."""
        rows = self._registry.read(DataProductRow, products)
        hashes = contents_of(self._registry.read(ObjectRow, {row.object for row in rows}), self._registry)
        here = {"", *self._registry.files.holding(hashes.values())}
        return {row.reference for row in rows if hashes[row.object] in here}

    def _places(self, objects: Sequence[ObjectRow]) -> dict[str, FileLocation]:
        """Return where the files of objects of the remote are."""
        wanted = {item.storage_location for item in objects if item.storage_location}
        places = {row.reference: row for row in self._remote.read(StorageLocationRow, wanted)}
        roots = self._remote.read(StorageRootRow, {row.storage_root for row in places.values()})
        root_of = {row.reference: row.root for row in roots}
        return {
            item.reference: FileLocation(root_of[place.storage_root], place.path, place.hash)
            for item in objects
            if (place := places.get(item.storage_location or "")) and place.storage_root in root_of
        }

    def _pull(self, items: list[_Item], fetches: Fetches, summary: TransferSummary) -> Iterator[Outcome]:
        fresh = [item.row for item in items if not item.known]
        graph = collect_rows(self._remote, fresh, self._complete)
        # Files first: a row that names a file must never be seen before the file is here.
        files = {item.row.reference: item.file for item in items if item.file}
        fetched = {reference: fetch.result() for reference, fetch in fetches.items()}
        broken = {reference: result for reference, result in fetched.items() if isinstance(result, str)}
        provenance = self._fetch_provenance(items, summary) if self._all_files else set()
        troubles = self._record(graph, fresh, broken, summary)
        got = {file.sha1 for reference, file in files.items() if reference not in broken}
        self._registry.adopt(got | provenance)
        for item in items:
            reference = item.row.reference
            size = fetched.get(reference, 0)
            if isinstance(size, str):
                yield Outcome(item.name, ItemResult.FAILED, size)
            elif trouble := troubles.get(reference):
                yield Outcome(item.name, *trouble)
            else:
                done = ItemResult.RESTORED if item.file else ItemResult.KNOWN
                yield Outcome(item.name, done if item.known else ItemResult.DONE, "", size)

    def _complete(self, rows: set[Id]) -> set[Id]:
        """Return those of some rows that are here with all that goes along with them.

        The walk stops at them; without this a pull would read the whole history of each product again.
        """
        return set(self._copies.all_here(row for row in rows if row[0] in _PRUNED))

    def _record(
        self, graph: RowGraph, roots: Sequence[Row], broken: dict[str, str], summary: TransferSummary
    ) -> dict[str, tuple[ItemResult, str]]:
        """Record a graph's rows; return why some of the roots are not.

        Rows and the note that they are copies are kept in one transaction: a pull
        that is killed leaves neither half a product, nor one that is pulled twice.
        """
        mentioned = set(graph.rows) | {target for row in graph.rows.values() for target in row.targets()}
        # An issue does not bring its components along, but refers to those of them that are here.
        mentioned |= {("object_component", part) for row in graph.of(IssueRow) for part in row.component_issues}
        there = self._copies.all_here(mentioned)
        with self._registry.transaction():
            state = create_rows(
                graph,
                roots,
                self._registry,
                there,
                keep=self._copies.keep_pulled,
                broken={("data_product", reference): reason for reference, reason in broken.items()}
                | {**self._remote.refused, **self._ours(graph)},
            )
            # A file of the provenance may be here already, under another name.
            self._registry.adopt(self._registry.files.holding({row.hash for row in graph.of(StorageLocationRow)}))
        summary.notes += state.notes
        return {root.reference: trouble for root in roots if (trouble := trouble_of(root, graph, state))}

    def _ours(self, graph: RowGraph) -> dict[Id, str]:
        """Return the roots that claim to be this registry's own, where no other can have put a file."""
        reason = f"{self._remote.name} says that files of its own are in {self._registry.data_root}, which is here"
        own = self._registry.data_root
        return {row.id: reason for row in graph.of(StorageRootRow) if row.root == own != self._remote.data_root}

    def _fetch_provenance(self, items: Sequence[_Item], summary: TransferSummary) -> set[str]:
        """Fetch every file of the provenance that the remote keeps itself; return the hashes of all that are here."""
        graph = collect_rows(self._remote, [item.row for item in items])
        own = self._remote.own_roots()
        wanted = {place.sha1: place for place in self._places(graph.of(ObjectRow)).values() if place.root in own}
        here = self._registry.files.holding(wanted)
        lacking = [place for sha1, place in wanted.items() if sha1 not in here]
        results = dict(zip(lacking, self._attempt_all(self.fetch, lacking), strict=True))
        reasons = [reason for reason in results.values() if isinstance(reason, str)]
        summary.notes += [f"a file of the provenance is not here: {reason}" for reason in reasons]
        return {*here, *(place.sha1 for place, result in results.items() if not isinstance(result, str))}

    def _pull_news(self, newest: dict[str, int], summary: TransferSummary) -> None:
        """Bring what was added at the remote, since the last pull, to what is here.

        Rows that were pulled are not read again, so that a keyword or an issue
        that somebody adds to them later would never be seen. Only rows newer than
        those of the last pull are looked at, which is one request per kind.
        """
        for kind, top in newest.items():
            mark = self._copies.mark(kind)
            if mark is None or top <= mark:
                continue
            fresh = [row for row in self._remote.since(ROWS[kind], mark) if self._concerns_us(row)]
            if fresh:
                troubles = self._record(collect_rows(self._remote, fresh, self._complete), fresh, {}, summary)
                summary.notes += [f"not pulled: {reason}" for _, reason in troubles.values()]

    def _concerns_us(self, row: Row) -> bool:
        if self._copies.all_here([row.id]):
            return False
        if isinstance(row, CodeRunRow | IssueRow):
            parts = row.outputs if isinstance(row, CodeRunRow) else row.component_issues
            return bool(self._copies.all_here(("object_component", reference) for reference in parts))
        owners = [target for target in row.targets() if target[0] in ("object", "data_product")]
        return bool(self._copies.all_here(owners))

    def _try_fetch(self, file: FileLocation) -> int | str:
        """Bring one file here; return its length in bytes, or why it cannot be had."""
        try:
            return self.fetch(file)
        except MultiblastError as error:
            return str(error)

    def fetch(self, file: FileLocation, *, again: bool = False) -> int:
        """Bring one file here; return its length in bytes.

        An interrupted download is continued. What does not have the hash that the
        registry describes is thrown away. With ``again`` it takes the place of one
        that was changed or is missing, which stays until then.

        Raises:
            StoreError: it cannot be had, or is not what it should be.
        """
        if not _SHA1.fullmatch(file.sha1):
            raise StoreError(f"{file.url} is said to have the hash {file.sha1!r}, which is no SHA-1: it is not fetched")
        part = self._registry.directory / "incoming" / f"{file.sha1}.part"
        try:
            with _locked(part):
                if again or not self._registry.files.holds(file.sha1):
                    self._download(file, part, again=again)
                part.unlink(missing_ok=True)
        except MultiblastError:  # several of them are errors of the system, too
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"cannot write {str(part)!r}: {reason}; make room and run the same again") from error
        kept = self._registry.files.get(file.sha1)
        return kept.size_bytes if kept else 0

    def _download(self, file: FileLocation, part: Path, *, again: bool) -> None:
        is_own = file.root in self._remote.own_roots()
        if not is_own and not file.root.startswith(("http://", "https://")):
            raise StoreError(f"its file is said to be {file.url}, which is on another machine")
        begun = part.stat().st_size > 0
        self._remote.download(file, part)
        found = file_checksums(part)
        if found.sha1 != file.sha1 and begun:  # what was there was of something else: once more from the start
            part.write_bytes(b"")
            self._remote.download(file, part)
            found = file_checksums(part)
        if found.sha1 != file.sha1:
            part.unlink()
            raise tampered(file.url, file.sha1, found.sha1)
        if again:
            self._registry.files.store.delete([self._registry.files.key(found.sha256)])
        self._registry.files.keep(part, found)


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Lock a file that is being fetched, so that two pulls at once do not both write to it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
