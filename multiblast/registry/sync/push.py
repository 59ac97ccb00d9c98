"""Pushing: what was committed, with its provenance and its files, from the local registry to a remote one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmodel import select

from multiblast.database import in_portions
from multiblast.ids import digest
from multiblast.registry.local.items import Item, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import Secrets
from multiblast.registry.model.rows import CodeRunRow, Endpoint, Id, ObjectRow, Row, StorageLocationRow
from multiblast.registry.model.tables import Staged, StoredFile
from multiblast.registry.remotes.public_view import SHOWN_ROOT, PublicView
from multiblast.registry.sync.row_graph import RowGraph, collect_rows
from multiblast.registry.sync.summary import ItemResult, Outcome, Progress, TransferSummary, no_progress
from multiblast.registry.sync.transfer import AT_ONCE, Transfer, TransferState, create_rows, trouble_of

_PORTION = 50
_STAYS = "it is private and stays here"


class Push(Transfer):
    """One push."""

    def __init__(self, registry: Registry, remote: Endpoint, *, at_once: int = AT_ONCE) -> None:
        super().__init__(registry, remote, at_once)
        # They must not leave in a configuration or a script.
        secrets = [*Secrets(registry.directory).all(), *remote.secrets]
        self._secrets = [secret.encode() for secret in secrets if secret]

    def _staged(self) -> list[Item]:
        with self._registry.session() as session:
            marks = session.exec(select(Staged).order_by(Staged.kind, Staged.row_id)).all()  # type: ignore[arg-type]  # columns
        objects, runs = ([str(mark.row_id) for mark in marks if mark.kind == kind] for kind in ("object", "code_run"))
        return [*self._registry.read(ObjectRow, objects), *self._registry.read(CodeRunRow, runs)]

    def plan(self) -> TransferSummary:
        """Return what a push would do, without doing it: the items, and the bytes of files that were never sent."""
        summary = TransferSummary()
        for root in self._staged():
            graph, private = self._walk([root])
            if private:
                summary.outcomes.append(Outcome(label(self._registry, root), ItemResult.PRIVATE, _STAYS))
                continue
            there = self._there(graph)
            lacking = [row for row in graph.rows if row not in there and row[1].isdigit()]
            size = sum(kept.size_bytes for row, kept in self._files(graph).items() if row not in there)
            result = ItemResult.PLANNED if lacking else ItemResult.KNOWN
            summary.outcomes.append(Outcome(label(self._registry, root), result, "", size))
        answer = [(outcome.item, outcome.result.value, outcome.size_bytes) for outcome in summary.outcomes]
        summary.answer = digest("registry-push/1", [self._registry.name, self._remote.name, answer])
        return self._finish(summary)

    def run(self, progress: Progress = no_progress) -> TransferSummary:
        """Push what was committed; ``progress`` is called with each item that is done."""
        summary = TransferSummary()
        for portion in in_portions(self._staged(), _PORTION):
            for outcome in self._push(portion, summary):
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

    def _there(self, graph: RowGraph) -> dict[Id, str]:
        """Return the rows that are at the remote already, as far as is known here."""
        there = self._copies.all_there(graph.rows)
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

    def _push(self, roots: Sequence[Item], summary: TransferSummary) -> Iterator[Outcome]:
        graph, private = self._walk(roots)
        files = self._files(graph)
        sizes: dict[Id, int] = {}
        uncertain: list[str] = []

        def send(kind: str, waiting: list[Row], state: TransferState) -> None:
            if kind == "storage_location":
                places = [row for row in waiting if isinstance(row, StorageLocationRow) and row.id in files]
                self._send(places, files, state, sizes, uncertain)

        state = create_rows(
            graph,
            [row for row in roots if row.id not in private],
            self._remote,
            self._there(graph),
            keep=self._copies.keep_pushed,
            broken=self._leaking(graph),
            before=send,
        )
        summary.notes += state.notes
        for sha1 in uncertain:
            if not self._remote.check_upload(sha1):
                reason = f"{self._remote.name} does not give out {sha1} as it was sent: push again"
                state.troubles |= {row: (ItemResult.FAILED, reason) for row, kept in files.items() if kept.sha1 == sha1}
        for root in roots:
            if root.id in private:
                yield Outcome(label(self._registry, root), ItemResult.PRIVATE, _STAYS)
                continue
            needed = graph.reachable(root.id)
            size = sum(sizes.get(row, 0) for row in needed)
            if trouble := trouble_of(root, graph, state):
                yield Outcome(label(self._registry, root), *trouble)
            else:
                result = ItemResult.DONE if needed & state.fresh else ItemResult.KNOWN
                yield Outcome(label(self._registry, root), result, "", size)

    def _send(
        self,
        waiting: list[StorageLocationRow],
        files: dict[Id, StoredFile],
        state: TransferState,
        sizes: dict[Id, int],
        uncertain: list[str],
    ) -> None:
        """Upload files before the rows that name their place; a file whose row is there was uploaded before."""
        wanted = [
            {"hash": row.hash, "public": row.public, "storage_root": state.there["storage_root", row.storage_root]}
            for row in waiting
        ]
        for row, found in zip(waiting, self._remote.find(StorageLocationRow, wanted), strict=True):
            if found is not None:
                state.there[row.id] = found.reference

        def upload(row: StorageLocationRow) -> bool:
            kept = files[row.id]
            return self._remote.upload(kept, lambda: self._registry.files.stream(kept.sha1))

        lacking = [row for row in waiting if row.id not in state.there]
        for row, sent in zip(lacking, self._attempt_all(upload, lacking), strict=True):
            if isinstance(sent, str):
                state.troubles[row.id] = (ItemResult.FAILED, sent)
                continue
            sizes[row.id] = files[row.id].size_bytes
            if not sent:
                uncertain.append(files[row.id].sha1)

    def _leaking(self, graph: RowGraph) -> dict[Id, str]:
        """Return the configurations and scripts that have a secret in them, with the reason why they stay."""
        found: dict[Id, str] = {}
        for run in graph.of(CodeRunRow):
            for name in ("model_config", "submission_script"):
                item = graph.get(ObjectRow, run.field(name))
                sha1 = graph.sha1(item) if item else ""
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
