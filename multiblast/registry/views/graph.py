"""The provenance of an item as a picture: what it was made from, one column per step, drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from multiblast.registry.local.items import find_items, label
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import CodeRunRow, ObjectRow
from multiblast.registry.sync.row_graph import RowGraph, collect_rows

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 240, 46, 70, 18, 20
_COLOURS = {"object": "#dbeafe", "code_run": "#fef3c7", "item": "#bbf7d0"}
_LONGEST = 34


@dataclass(frozen=True, slots=True)
class Node:
    """A box: an object or a code run."""

    id: str
    kind: str
    title: str
    detail: str


Edge = tuple[str, str]  # an arrow from the box of what was there before to that of what came of it


def provenance(registry: Registry, item: str) -> tuple[list[Node], list[Edge], set[str]]:
    """Return boxes and arrows of an item's provenance, and which boxes are the item.

    Raises:
        NotFoundError: the item is not here.
    """
    rows = find_items(registry, item)
    graph = collect_rows(registry, rows)
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for run in graph.of(CodeRunRow):
        number = f"code_run {run.reference}"
        nodes[number] = Node(number, "code_run", run.description, f"{run.run_date:%Y-%m-%d}")
        edges += [(_add(registry, graph, other, nodes), number) for other in graph.objects(run.inputs)]
        edges += [(number, _add(registry, graph, other, nodes)) for other in graph.objects(run.outputs)]
    for row in rows:
        if isinstance(row, ObjectRow):
            _add(registry, graph, row, nodes)
    return list(nodes.values()), list(dict.fromkeys(edges)), {f"{row.kind} {row.reference}" for row in rows}


def _add(registry: Registry, graph: RowGraph, row: ObjectRow, nodes: dict[str, Node]) -> str:
    """Add an object's box unless it is there; return its id."""
    number = f"object {row.reference}"
    if number not in nodes:
        nodes[number] = Node(number, "object", label(registry, row), graph.sha1(row)[:12] or "no file")
    return number


def provenance_svg(registry: Registry, item: str) -> str:
    """Draw the provenance of an item.

    Raises:
        NotFoundError: the item is not here.
    """
    nodes, edges, items = provenance(registry, item)
    places = _layers(nodes, edges)
    width = _MARGIN * 2 + max(x for x, _ in places.values()) * (_WIDTH + _GAP_X) + _WIDTH
    height = _MARGIN * 2 + max(y for _, y in places.values()) * (_HEIGHT + _GAP_Y) + _HEIGHT
    size = f'width="{width}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f"<title>Provenance of {escape(item)}</title>",
        '<defs><marker id="tip" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">',
        '<path d="M0,0 L9,4 L0,8 z" fill="#64748b"/></marker></defs>',
        f'<rect {size} fill="#ffffff"/>',
    ]
    lines += [_arrow(places[start], places[end]) for start, end in edges]
    lines += [_box(node, places[node.id], is_item=node.id in items) for node in nodes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _layers(nodes: list[Node], edges: list[Edge]) -> dict[str, tuple[int, int]]:
    """Return column and row of each box: a box stands right of all that it was made from."""
    before: dict[str, set[str]] = {node.id: set() for node in nodes}
    for start, end in edges:
        before[end].add(start)
    columns: dict[str, int] = {}
    for _ in nodes:  # a chain is at most as long as there are boxes; a circle, which no run makes, ends there too
        settled = {number: 1 + max((columns.get(one, 0) for one in before[number]), default=-1) for number in before}
        if settled == columns:
            break
        columns = settled
    taken: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for node in nodes:
        column = columns[node.id]
        places[node.id] = (column, taken.get(column, 0))
        taken[column] = taken.get(column, 0) + 1
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return _MARGIN + place[0] * (_WIDTH + _GAP_X), _MARGIN + place[1] * (_HEIGHT + _GAP_Y)


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
    middle = (x1 + x2) // 2
    curve = f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
    return f'<path d="{curve}" fill="none" stroke="#64748b" stroke-width="1.5" marker-end="url(#tip)"/>'


def _box(node: Node, place: tuple[int, int], *, is_item: bool) -> str:
    x, y = _corner(place)
    colour = _COLOURS["item" if is_item else node.kind]
    title = node.title if len(node.title) <= _LONGEST else node.title[: _LONGEST - 1] + "…"
    return (
        f'<g><title>{escape(node.title)}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'rx="{20 if node.kind == "code_run" else 4}" fill="{colour}" stroke="#475569"/>'
        f'<text x="{x + 12}" y="{y + 20}" font-size="12">{escape(title)}</text>'
        f'<text x="{x + 12}" y="{y + 36}" fill="#475569" font-size="10">{escape(node.detail)}</text></g>'
    )
