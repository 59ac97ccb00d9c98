# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.multiblast.plugin]
# name = "tree-picture"
# version = "1.0.0"
# title = "Picture of a tree"
# description = "A phylogram: branches as long as the tree says, names at their ends, and a scale."
# type = "visualization"
# tags = ["picture"]
# license = "Apache-2.0"
#
# [tool.multiblast.plugin.inputs.tree]
# data = "tree"
# content = ["text/x-newick"]
# label = "Tree"
#
# [tool.multiblast.plugin.outputs.page]
# data = "page"
# content = "text/html"
# edam = "format_2331"
# label = "Page"
#
# [tool.multiblast.plugin.outputs.picture]
# data = "picture"
# content = "image/svg+xml"
# edam = "format_3604"
# label = "Picture"
#
# [tool.multiblast.plugin.parameters.midpoint]
# type = "flag"
# default = true
# label = "Root at the midpoint"
# help = "Put the root half-way between the two ends that are farthest apart; else the tree is drawn as it is written."
#
# [tool.multiblast.plugin.parameters.highlight]
# type = "text"
# default = ""
# label = "Highlight"
# help = "The name of a sequence to be shown in colour, such as the query."
# ///
"""Draw a tree in Newick as SVG."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_WORD = re.compile(r"\s+|\[[^\]]*\]|'(?:[^']|'')*'|[(),:;]|[^\s()\[\],:;']+")
_MOST_LEAVES = 5000
_ROW, _WIDTH, _MARGIN, _LETTER = 18, 560, 24, 7.0
_INK, _QUIET, _MARKED = "#1a1a2e", "#667085", "#b42318"


@dataclass(eq=False)
class Node:
    """A node: what is below it, and how long the branch above it is."""

    name: str = ""
    length: float = 0.0
    children: list[Node] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0

    def add(self) -> Node:
        """Add a node below, and return it."""
        self.children.append(Node())
        return self.children[-1]


Near = dict[Node, list[tuple[Node, float, str]]]  # which nodes are beside one, how far away, and what is said of that


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    root = read_newick(Path(request["inputs"]["tree"][0]["path"]).read_text("utf-8"))
    leaves = sum(not node.children for node in walk(root))
    if leaves > _MOST_LEAVES:
        sys.exit(f"the tree has {leaves} ends, up to {_MOST_LEAVES} are drawn: make a smaller one")
    if not any(node.length for node in walk(root)):  # then all branches are drawn alike
        for node in walk(root):
            node.length = 1.0
    elif chosen["midpoint"]:
        root = rooted_at_midpoint(root)
    picture = draw(root, chosen["highlight"])
    Path("outputs/picture.svg").write_text(picture, "utf-8")
    head = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Tree</title></head><body>'
    Path("outputs/page.html").write_text(f"{head}\n{picture}</body></html>\n", "utf-8")


def read_newick(text: str) -> Node:
    """Read the first tree of a text."""
    root = node = Node()
    above: list[Node] = []
    expects_length = False
    for word in words_of(text):
        if word == "(":
            above.append(node)
            node = above[-1].add()
        elif word in {",", ")"}:
            if not above:
                sys.exit("this is no tree in Newick: it has more closing brackets than opening ones")
            node = above[-1].add() if word == "," else above.pop()
        elif word == ":":
            expects_length = True
        elif expects_length:
            node.length, expects_length = read_length(word), False
        else:
            node.name = word[1:-1].replace("''", "'") if word.startswith("'") else word
    if above:
        sys.exit("this is no tree in Newick: it has more opening brackets than closing ones")
    return root


def words_of(text: str) -> Iterator[str]:
    """Yield names, lengths and marks of the first tree, without blanks and comments."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            sys.exit(f"this is no tree in Newick: at {text[at : at + 20]!r}")
        at = found.end()
        if found[0] == ";":
            return
        if not found[0].isspace() and not found[0].startswith("["):
            yield found[0]


def read_length(word: str) -> float:
    """Return the length of a branch; some programs make tiny negative ones, which are drawn as none."""
    try:
        length = float(word)
    except ValueError:
        sys.exit(f"this is no tree in Newick: {word!r} is no length")
    return max(0.0, length) if math.isfinite(length) else 0.0


def walk(root: Node) -> Iterator[Node]:
    """Yield nodes, each before what is below it."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        left += reversed(node.children)


def rooted_at_midpoint(root: Node) -> Node:
    """Return the tree with its root half-way between the two ends that are farthest apart."""
    near: Near = {}
    for node in walk(root):
        for child in node.children:
            # What stands at an inner node, such as its support, is said of the branch above it.
            about = child.name if child.children else ""
            near.setdefault(node, []).append((child, child.length, about))
            near.setdefault(child, []).append((node, child.length, about))
    if not near:
        return root
    first, _, _ = farthest(near, root)
    last, distance, before = farthest(near, first)
    node, left = last, distance / 2
    while (length := branch(near, node, before[node])[0]) < left:
        left, node = left - length, before[node]
    other, about = before[node], branch(near, node, before[node])[1]
    return Node(children=[hung(near, node, other, left, about), hung(near, other, node, length - left, about)])


def branch(near: Near, node: Node, other: Node) -> tuple[float, str]:
    """Return how long a branch is, and what is said of it."""
    return next((length, about) for one, length, about in near[node] if one is other)


def farthest(near: Near, start: Node) -> tuple[Node, float, dict[Node, Node]]:
    """Return the end farthest from a node, how far it is, and where each node is reached from."""
    best, away, before, left = start, 0.0, dict[Node, Node](), [(start, 0.0)]
    while left:
        node, distance = left.pop()
        if distance > away and len(near[node]) == 1:
            best, away = node, distance
        for other, length, _ in near[node]:
            if other is not before.get(node):
                before[other] = node
                left.append((other, distance + length))
    return best, away, before


def hung(near: Near, start: Node, coming_from: Node, length: float, about: str) -> Node:
    """Return the part of a tree that is seen from a branch; nodes that have but one below them are left out."""
    made: dict[Node, Node] = {}
    order, left = [], [(start, coming_from, length, about)]
    while left:
        node, parent, above, said = left.pop()
        is_end = len(near[node]) == 1
        made[node] = Node(node.name if is_end else said, above)
        order.append((node, parent))
        left += [(other, node, far, words) for other, far, words in reversed(near[node]) if other is not parent]
    for node, parent in reversed(order):
        below = [made[other] for other, _, _ in near[node] if other is not parent]
        if len(below) == 1:
            made[node].length += below[0].length
            made[node].name, made[node].children = below[0].name, below[0].children
        else:
            made[node].children = below
    return made[start]


def place(root: Node) -> tuple[int, float]:
    """Give each node its place; return how many ends there are, and how deep the tree is."""
    order = list(walk(root))
    sizes = dict.fromkeys(order, 1)
    for node in reversed(order):
        if node.children:
            sizes[node] = sum(sizes[child] for child in node.children)
            node.children.sort(key=lambda child: sizes[child])
    leaves, deepest = 0, 0.0
    order = list(walk(root))
    root.x = 0.0
    for node in order:
        for child in node.children:
            child.x = node.x + child.length
        if not node.children:
            node.y, leaves, deepest = float(leaves), leaves + 1, max(deepest, node.x)
    for node in reversed(order):
        if node.children:
            node.y = (node.children[0].y + node.children[-1].y) / 2
    return leaves, deepest


def draw(root: Node, highlight: str) -> str:
    """Return the picture."""
    leaves, deepest = place(root)
    scale = _WIDTH / deepest if deepest else 0.0
    longest = max(len(node.name) for node in walk(root) if not node.children)
    width = _MARGIN * 2 + _WIDTH + 8 + longest * _LETTER
    height = _MARGIN * 2 + leaves * _ROW + 28
    lines, words = [], []
    for node in walk(root):
        x, y = _MARGIN + node.x * scale, _MARGIN + (node.y + 0.5) * _ROW
        lines.append(f"M{x - node.length * scale if node is not root else x - 6:.1f} {y:.1f}H{x:.1f}")
        if node.children:
            top, bottom = (_MARGIN + (end.y + 0.5) * _ROW for end in (node.children[0], node.children[-1]))
            lines.append(f"M{x:.1f} {top:.1f}V{bottom:.1f}")
            if node.name and node is not root:
                words.append(beside(node, x, y, scale))
        else:
            kind = ' class="m"' if highlight and node.name == highlight else ""
            words.append(f'<text{kind} x="{x + 6:.1f}" y="{y + 4:.1f}">{escape(node.name)}</text>')
    bar = round_length(deepest / 4) if deepest else 0.0
    foot = height - _MARGIN
    scaled = (
        f'<path d="M{_MARGIN} {foot - 14}H{_MARGIN + bar * scale:.1f}"/><text x="{_MARGIN}" y="{foot}">{bar:g}</text>'
        if bar
        else ""
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" \
viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>Tree of {leaves} sequences</title>
<style>text{{font:12px sans-serif;fill:{_INK}}}text.s{{font-size:9px;fill:{_QUIET}}}\
text.m{{fill:{_MARKED};font-weight:bold}}path{{fill:none;stroke:{_INK};stroke-width:1.2}}</style>
<rect width="100%" height="100%" fill="#fff"/>
<path d="{"".join(lines)}"/>
{"".join(words)}
{scaled}
</svg>
"""


def beside(node: Node, x: float, y: float, scale: float) -> str:
    """Return what is said of a branch: above it, else behind it; nothing where there is no room for it."""
    needed = len(node.name) * 5 + 3
    if node.length * scale > needed:
        return f'<text class="s" text-anchor="end" x="{x - 3:.1f}" y="{y - 3:.1f}">{escape(node.name)}</text>'
    if min(child.length for child in node.children) * scale > needed:
        return f'<text class="s" x="{x + 3:.1f}" y="{y + 3:.1f}">{escape(node.name)}</text>'
    return ""


def round_length(length: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length * 1.000001)


if __name__ == "__main__":
    main()
