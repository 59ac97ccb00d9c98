"""What a run's page shows of the registry: what became of each item, and how something came to be."""

from __future__ import annotations

from base64 import b64encode

from multiblast.errors import ConflictError
from multiblast.registry.sync.summary import ItemResult, TransferSummary
from multiblast.registry.views.graph import provenance_svg
from tasks.page import show_markdown, show_table
from tasks.registries import local_registry

__all__ = ["show_graph", "show_report"]

_ROWS_SHOWN = 1000


async def show_report(title: str, report: TransferSummary, *, final: bool = True) -> None:
    """Show what became of each item on the run's page.

    Args:
        title: What the report is of.
        report: It.
        final: Whether nothing follows.

    Raises:
        ConflictError: there was a conflict or a failure, so that the run is seen to have failed, if nothing follows.
    """
    rows = [
        {"item": o.item, "result": o.result.value, "bytes": o.size_bytes, "reason": o.reason}
        for o in report.outcomes[:_ROWS_SHOWN]
    ]
    await show_table(title, rows, f"{title}: {len(report.outcomes):,} items")
    told = f"{len(report.outcomes):,} items, {report.size_bytes:,} bytes, {report.requests:,} requests"
    lines = [f"## {title}", "", f"{told}, {report.seconds:.1f} s", "", *(f"- {note}" for note in report.notes)]
    await show_markdown(f"{title}-summary", "\n".join(lines), title)
    if final and report.exit_code:
        bad = [o for o in report.outcomes if o.result in (ItemResult.CONFLICT, ItemResult.FAILED)]
        raise ConflictError("; ".join(f"{o.item}: {o.reason}" for o in bad[:5]))


async def show_graph(item: str) -> str:
    """Show the provenance of an item as a picture on the run's page; return the picture."""
    with local_registry() as registry:
        svg = provenance_svg(registry, item)
    picture = f"![provenance](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
    await show_markdown("provenance", picture, f"Provenance of {item}")
    return svg
