"""Pushing: what was committed, with its provenance and its files, from the local registry to a remote one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlmodel import select

from multiblast.errors import MultiblastError
from multiblast.ids import digest
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import Staged, StoredFile
from multiblast.registry.model.names import product_name
from multiblast.registry.model.rows import Endpoint, Row
from multiblast.registry.remotes.public_view import SHOWN_ROOT, PublicView
from multiblast.registry.sync.pull import PULL_AT_ONCE
from multiblast.registry.sync.remote_copies import RemoteCopies
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary
from multiblast.registry.sync.transfer import TransferState, content, create_rows, trouble_of

__all__ = ["Push"]

_CHUNK = 50
_STAYS = "it is private and stays here"

Id = tuple[str, str]


class Push:
    """One push.

    Args:
        registry: Where from.
        remote: Where to.
        secrets: Words that must not leave in a configuration or a script, such as tokens.
        at_once: Files sent at the same time.
    """

    def __init__(
        self, registry: Registry, remote: Endpoint, *, secrets: Iterable[str] = (), at_once: int = PULL_AT_ONCE
    ) -> None:
        self._registry, self._remote = registry, remote
        self._copies = RemoteCopies(registry, remote.name)
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._at_once = at_once

    def staged(self) -> list[Row]:
        """Return what was committed and is to be pushed."""
        with self._registry.session() as session:
            marks = session.exec(select(Staged).order_by(Staged.kind, Staged.row_id)).all()  # type: ignore[arg-type]  # columns
        rows: list[Row] = []
        for kind in ("object", "code_run"):
            rows += self._registry.read(kind, [str(mark.row_id) for mark in marks if mark.kind == kind])
        return rows

    def plan(self, items: Sequence[Row] | None = None) -> TransferSummary:
        """Say what a push would do, without doing it: the items, and the bytes of files that were never sent."""
        started = time.monotonic()
        report = TransferSummary()
        for root in self.staged() if items is None else items:
            closure, private = self._walk([root])
            if private:
                report.outcomes.append(Outcome(self.label(root), ItemResult.PRIVATE, _STAYS))
                continue
            there = self._there(closure)
            lacking = [row for row in closure.rows if row not in there and row[1].isdigit()]
            size = sum(kept.size_bytes for row, kept in self._files(closure).items() if row not in there)
            result = ItemResult.PLANNED if lacking else ItemResult.KNOWN
            report.outcomes.append(Outcome(self.label(root), result, "", size))
        told = [(outcome.item, outcome.result.value, outcome.size_bytes) for outcome in report.outcomes]
        report.answer = digest("registry-push/1", [self._registry.name, self._remote.name, told])
        report.seconds = time.monotonic() - started
        return report

    def run(
        self, items: Sequence[Row] | None = None, progress: Callable[[Outcome], None] = lambda _: None
    ) -> TransferSummary:
        """Push what was committed.

        Args:
            items: Rows to push, instead of all that were committed.
            progress: Told of each item that is done.
        """
        started, before = time.monotonic(), self._remote.requests
        roots = self.staged() if items is None else list(items)
        report = TransferSummary()
        for start in range(0, len(roots), _CHUNK):
            for outcome in self._push(roots[start : start + _CHUNK], report):
                report.outcomes.append(outcome)
                progress(outcome)
        report.notes += [self._remote.warning] if self._remote.warning else []
        report.requests, report.seconds = self._remote.requests - before, time.monotonic() - started
        return report

    def label(self, row: Row) -> str:
        """Return what a person calls a code run or an object."""
        if row.kind == "code_run":
            return f"code run {row.fields['uuid']}"
        products = self._registry.details("data_product", "object", [row])
        if not products:
            return f"object {row.fields['uuid']}"
        (namespace,) = self._registry.read("namespace", [products[0].fields["namespace"]])
        return product_name(namespace.fields["name"], products[0].fields["name"], products[0].fields["version"])

    def _walk(self, roots: Sequence[Row]) -> tuple[RowGraph, set[tuple[str, str]]]:
        """Return what goes along with some items as others may see it, and those items that are private."""
        origin = PublicView(self._registry, self._remote.data_root, self._remote.path_of)
        shown: list[Row] = []
        for kind in ("object", "code_run"):
            shown += origin.read(kind, [row.reference for row in roots if row.kind == kind])
        private = {row.id for row in shown if row.kind == "object" and origin.is_private(row.reference)}
        return collect_rows(origin, [row for row in shown if row.id not in private]), private

    def _there(self, closure: RowGraph) -> dict[Id, str]:
        """Return the rows that are at the remote already, as far as is known here."""
        there: dict[Id, str] = {}
        for kind in {row.kind for row in closure.rows.values()}:
            numbers = [int(row.reference) for row in closure.of(kind) if row.reference.isdigit()]
            there |= {(kind, str(number)): name for number, name in self._copies.there(kind, numbers).items()}
        if all(row.id in there for row in closure.of("storage_location")):
            there["storage_root", SHOWN_ROOT] = ""  # nobody will ask for it
        return there

    def _files(self, closure: RowGraph) -> dict[Id, StoredFile]:
        """Return the files of this registry, by the locations they are at."""
        kept = {
            row.id: self._registry.files.get(row.fields["hash"])
            for row in closure.of("storage_location")
            if not row.fields["storage_root"].isdigit()
        }
        return {row: file for row, file in kept.items() if file}

    def _push(self, roots: Sequence[Row], report: TransferSummary) -> Iterator[Outcome]:
        closure, private = self._walk(roots)
        files = self._files(closure)
        sizes: dict[Id, int] = {}
        uncertain: list[str] = []

        def send(kind: str, waiting: list[Row], rows: TransferState) -> None:
            if kind == "storage_location":
                self._send([row for row in waiting if row.id in files], files, rows, sizes, uncertain)

        there = self._there(closure)
        broken = self._leaking(closure)
        rows = create_rows(
            closure,
            [row for row in roots if row.id not in private],
            self._remote,
            there,
            keep=self._copies.keep_pushed,
            broken=broken,
            before=send,
        )
        report.notes += rows.notes
        for sha1 in uncertain:
            if not self._remote.check_upload(sha1):
                reason = f"{self._remote.name} does not give out {sha1} as it was sent: push again"
                rows.troubles |= {row: (ItemResult.FAILED, reason) for row, kept in files.items() if kept.sha1 == sha1}
        for root in roots:
            if root.id in private:
                yield Outcome(self.label(root), ItemResult.PRIVATE, _STAYS)
                continue
            needed = closure.reachable(root.id)
            size = sum(sizes.get(row, 0) for row in needed)
            if trouble := trouble_of(root, closure, rows):
                yield Outcome(self.label(root), *trouble)
            else:
                yield Outcome(self.label(root), ItemResult.DONE if needed & rows.fresh else ItemResult.KNOWN, "", size)

    def _send(
        self,
        waiting: list[Row],
        files: dict[Id, StoredFile],
        rows: TransferState,
        sizes: dict[Id, int],
        uncertain: list[str],
    ) -> None:
        """Upload files before the rows that say where they are; a file whose row is there was uploaded before."""
        wanted = [
            {
                "hash": row.fields["hash"],
                "public": row.fields["public"],
                "storage_root": rows.there["storage_root", row.fields["storage_root"]],
            }
            for row in waiting
        ]
        for row, found in zip(waiting, self._remote.find("storage_location", wanted), strict=True):
            if found is not None:
                rows.there[row.id] = found.reference

        def attempt(row: Row) -> bool | str:
            kept = files[row.id]
            try:
                return self._remote.upload(kept, lambda: self._registry.files.stream(kept.sha1))
            except MultiblastError as error:
                return str(error)

        lacking = [row for row in waiting if row.id not in rows.there]
        with ThreadPoolExecutor(self._at_once) as pool:
            for row, sent in zip(lacking, pool.map(attempt, lacking), strict=True):
                if isinstance(sent, str):
                    rows.troubles[row.id] = (ItemResult.FAILED, sent)
                    continue
                sizes[row.id] = files[row.id].size_bytes
                if not sent:
                    uncertain.append(files[row.id].sha1)

    def _leaking(self, closure: RowGraph) -> dict[Id, str]:
        """Return the configurations and scripts that have a secret in them, with the reason why they stay."""
        found: dict[Id, str] = {}
        for run in closure.of("code_run"):
            for name in ("model_config", "submission_script"):
                item = closure.rows.get(("object", run.fields[name] or ""))
                sha1 = content(closure, item) if item else ""
                if item and self._registry.files.holds(sha1) and self._has_secret(sha1):
                    found[item.id] = (
                        f"the {name.replace('_', ' ')} has a token in it: write ${{{{LOCAL_TOKEN}}}} instead"
                    )
        return found

    def _has_secret(self, sha1: str) -> bool:
        longest = max(map(len, self._secrets), default=0)
        held = b""
        for chunk in self._registry.files.stream(sha1):
            text = held + chunk
            if any(secret in text for secret in self._secrets):
                return True
            held = text[-longest:] if longest else b""
        return False
