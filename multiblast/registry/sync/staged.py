"""Which items are marked to be pushed."""

from __future__ import annotations

from collections.abc import Iterable

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary


def commit(registry: Registry, items: Iterable[str], *, dry_run: bool = False) -> TransferSummary:
    """Mark code runs or files to be pushed with all their provenance; a dry run only says which.

    Raises:
        NotFoundError: one of them is not here; none is marked.
    """
    rows = [row for text in items for row in find_items(registry, text)]
    report = TransferSummary()
    with registry.writing() as session:
        for row in rows:
            if session.get(Staged, (row.kind, int(row.reference))) is None:
                if not dry_run:
                    session.add(Staged(kind=row.kind, row_id=int(row.reference)))
                report.outcomes.append(
                    Outcome(label(registry, row), ItemResult.PLANNED if dry_run else ItemResult.DONE)
                )
            else:
                report.outcomes.append(Outcome(label(registry, row), ItemResult.KNOWN, "committed before"))
    return report
