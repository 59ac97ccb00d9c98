"""Pushing: what was committed, with its provenance and its files, from the local registry to a remote one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlmodel import select

from multiblast.database import in_portions
from multiblast.errors import StoreError
from multiblast.ids import digest
from multiblast.registry.local.items import Item, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import SecretSearch, known_secrets
from multiblast.registry.model.local_tables import Staged, StoredFile
from multiblast.registry.model.rows import CodeRunRow, Endpoint, Id, ObjectRow, Row, StorageLocationRow
from multiblast.registry.remotes.known import Remotes
from multiblast.registry.remotes.public_view import SHOWN_ROOT, PublicView
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.sync.summary import ItemResult, Outcome, Progress, TransferSummary, no_progress
from multiblast.registry.sync.transfer import AT_ONCE, NEW, Transfer, TransferState, confirmed, create_rows, trouble_of

_PORTION = 500
_SHARED_SHOWN = 3
_STAYS = "it is private and stays here"


class Push(Transfer):
    """One push."""

    def __init__(self, registry: Registry, remote: Endpoint, *, at_once: int = AT_ONCE) -> None:
        super().__init__(registry, remote, at_once)
        self._secrets = SecretSearch(
            known_secrets(registry.directory, (*registry.secrets, *remote.secrets), Remotes(registry).addresses())
        )

    def _staged(self) -> Iterator[Sequence[Item]]:
        """Yield what was committed, some at a time."""
        for kind in (ObjectRow, CodeRunRow):
            with self._registry.session() as session:
                mine = select(Staged.row_id).where(Staged.kind == kind.kind).order_by(Staged.row_id)  # type: ignore[arg-type]  # a column
                numbers = session.exec(mine).all()
            for some in in_portions(numbers, _PORTION):
                yield self._registry.read(kind, map(str, some))

    def plan(self) -> TransferSummary:
        """Return what a push would do, without doing it: what the remote has is asked, nothing is made there."""
        summary = TransferSummary()
        for portion in self._staged():
            summary.outcomes += self._push(portion, summary, dry_run=True)
        answer = [(outcome.item, outcome.result.value, outcome.size_bytes) for outcome in summary.outcomes]
        summary.answer = digest("registry-push/1", [self._registry.name, self._remote.name, answer])
        return self._finish(summary)

    def run(self, progress: Progress = no_progress) -> TransferSummary:
        """Push what was committed; ``progress`` is called with each item that is done."""
        summary = TransferSummary()
        for portion in self._staged():
            for outcome in self._push(portion, summary, dry_run=False):
                summary.outcomes.append(outcome)
                progress(outcome)
        return self._finish(summary)

    def _walk(self, roots: Sequence[Item]) -> tuple[RowGraph, set[Id]]:
        """Return what goes along with some items as others may see it, and those items that are private."""
        origin = PublicView(self._registry, self._remote.data_root, self._remote.path_of)
        shown: list[Row] = []
        for kind in (ObjectRow, CodeRunRow):
            shown += origin.read(kind, [row.reference for row in roots if isinstance(row, kind)])
        private = {row.id for row in shown if row.kind == "object" and row.reference in origin.private}
        return collect_rows(origin, [row for row in shown if row.id not in private]), private

    def _there(self, graph: RowGraph, *, dry_run: bool) -> dict[Id, str]:
        """Return the rows that are at the remote already, of those that are known here to have been."""
        remembered = self._copies.all_there(graph.rows)
        there = confirmed(graph, self._remote, remembered)
        if not dry_run:
            self._copies.forget(remembered.keys() - there.keys())
        if all(row.id in there for row in graph.of(StorageLocationRow)):
            there["storage_root", SHOWN_ROOT] = ""  # nobody will need it
        return there

    def _files(self, graph: RowGraph) -> dict[Id, StoredFile]:
        """Return the files of this registry, by the locations they are at."""
        kept = {
            row.id: self._registry.files.get(row.hash)
            for row in graph.of(StorageLocationRow)
            if not row.storage_root.isdigit()
        }
        return {row: file for row, file in kept.items() if file}

    def _push(self, roots: Sequence[Item], summary: TransferSummary, *, dry_run: bool) -> Iterator[Outcome]:
        graph, private = self._walk(roots)
        files = self._files(graph)
        there = self._there(graph, dry_run=dry_run)
        sizes: dict[Id, int] = {}
        uncertain: list[str] = []

        def send(kind: str, waiting: list[Row], state: TransferState) -> None:
            if kind == "storage_location":
                places = [row for row in waiting if isinstance(row, StorageLocationRow) and row.id in files]
                lacking = self._lacking(places, state)
                if dry_run:
                    sizes.update({row.id: files[row.id].size_bytes for row in lacking})
                else:
                    self._send(lacking, files, state, sizes, uncertain)

        state = create_rows(
            graph,
            [row for row in roots if row.id not in private],
            self._remote,
            there,
            keep=(lambda _rows: None) if dry_run else self._copies.keep_pushed,
            broken=self._leaking(graph, there),
            before=send,
            dry_run=dry_run,
        )
        summary.notes += state.notes
        self._check_uploads(uncertain, files, state)
        for root in roots:
            if root.id in private:
                yield Outcome(label(self._registry, root), ItemResult.PRIVATE, _STAYS)
            elif trouble := trouble_of(root, graph, state):
                yield Outcome(label(self._registry, root), *trouble)
            else:
                needed = graph.reachable(root.id)
                done = ItemResult.PLANNED if dry_run else ItemResult.DONE
                result = done if needed & state.fresh else ItemResult.KNOWN
                size = sum(sizes.get(row, 0) for row in needed)
                yield Outcome(label(self._registry, root), result, self._shares(needed & state.shared), size)

    def _check_uploads(self, uncertain: Iterable[str], files: Mapping[Id, StoredFile], state: TransferState) -> None:
        """Note which files the remote does not give out as they were sent, of those for which that is not certain."""
        for sha1 in uncertain:
            if not self._remote.check_upload(sha1):
                reason = f"{self._remote.name} does not give out {sha1} as it was sent: push again"
                state.troubles |= {row: (ItemResult.FAILED, reason) for row, kept in files.items() if kept.sha1 == sha1}

    def _shares(self, objects: set[Id]) -> str:
        """Return that another object of the same bytes stands for some objects; empty if there are none."""
        if not objects:
            return ""
        rows = self._registry.read(ObjectRow, [reference for _, reference in objects])
        named = ", ".join(sorted(label(self._registry, row) for row in rows)[:_SHARED_SHOWN])
        return (
            f"the bytes of {named} are there already: {self._remote.name} keeps one object for them, so that its type, "
            "description, authors and code run are those of the other"
        )

    def _lacking(self, places: list[StorageLocationRow], state: TransferState) -> list[StorageLocationRow]:
        """Return those of some places that the remote does not have; a file whose row is there was sent before."""
        roots = {row.storage_root: state.there["storage_root", row.storage_root] for row in places}
        asked = [row for row in places if roots[row.storage_root] != NEW]
        wanted = [{"hash": row.hash, "public": row.public, "storage_root": roots[row.storage_root]} for row in asked]
        for row, found in zip(asked, self._remote.find(StorageLocationRow, wanted), strict=True):
            if found is not None:
                state.there[row.id] = found.reference
        return [row for row in places if row.id not in state.there]

    def _send(
        self,
        lacking: list[StorageLocationRow],
        files: dict[Id, StoredFile],
        state: TransferState,
        sizes: dict[Id, int],
        uncertain: list[str],
    ) -> None:
        """Upload files before the rows that name their place."""

        def upload(row: StorageLocationRow) -> bool:
            kept = files[row.id]
            return self._remote.upload(kept, lambda: self._registry.files.stream(kept.sha1))

        for row, sent in zip(lacking, self._attempt_all(upload, lacking), strict=True):
            if isinstance(sent, str):
                state.troubles[row.id] = (ItemResult.FAILED, sent)
                continue
            sizes[row.id] = files[row.id].size_bytes
            if not sent:
                uncertain.append(files[row.id].sha1)

    def _leaking(self, graph: RowGraph, there: Mapping[Id, str]) -> dict[Id, str]:
        """Return the rows and files with a secret in them that are yet to be sent, with the reason why they stay."""
        found: dict[Id, str] = {}
        for row in graph.rows.values():
            if row.id not in there and self._secrets.in_text(json.dumps(row.fields, default=str, ensure_ascii=False)):
                found[row.id] = f"a {row.kind} of its provenance has a token or password in it"
        run_with = {
            item: name.replace("_", " ")
            for run in graph.of(CodeRunRow)
            for name in ("model_config", "submission_script")
            if (item := run.field(name))
        }
        for item in graph.of(ObjectRow):
            name = run_with.get(item.reference, "")
            sha1 = graph.sha1(item)
            if item.id in there or not self._registry.files.holds(sha1):
                continue
            try:
                is_leaking = self._secrets.in_file(self._registry.files.stream(sha1), passwords=bool(name))
            except StoreError as error:  # it was changed
                found[item.id] = str(error)
                continue
            if is_leaking:
                remedy = ": write ${{LOCAL_TOKEN}} instead" if name else ""
                found[item.id] = f"the {name or 'file'} has a token or password in it{remedy}"
        return found
