# /// script
# requires-python = ">=3.11"
# dependencies = []
#
# [tool.multiblast.plugin]
# name = "alignment-picture"
# version = "1.0.0"
# title = "Picture of an alignment"
# description = "Rows in blocks of columns, letters coloured by their kind where columns agree, and how well they do."
# type = "visualization"
# tags = ["picture"]
# license = "Apache-2.0"
#
# [tool.multiblast.plugin.inputs.alignment]
# data = "alignment/*"
# content = ["text/x-fasta"]
# label = "Alignment"
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
# [tool.multiblast.plugin.parameters.sequences]
# type = "integer"
# default = 100
# least = 1
# most = 500
# label = "Most sequences"
#
# [tool.multiblast.plugin.parameters.columns]
# type = "integer"
# default = 1000
# least = 10
# most = 5000
# label = "Most columns"
#
# [tool.multiblast.plugin.parameters.width]
# type = "integer"
# default = 100
# least = 20
# most = 1000
# label = "Columns in a block"
# ///
"""Draw an alignment as SVG."""

from __future__ import annotations

import json
import sys
from collections import Counter
from html import escape
from pathlib import Path

_CELL, _ROW, _MARGIN, _LETTER, _BAR = 9, 15, 16, 7.0, 24
_LONGEST_NAME = 36
_PROTEIN_ONLY = set("EFIJLOPQZ*")
# By what residues are like; colours on which black letters can be read.
_PROTEIN = {
    "AILMFWVC": "#a6c8f0",
    "KR": "#f3b0a8",
    "DE": "#d9b3e6",
    "NQST": "#b7e0b1",
    "G": "#f2cf9e",
    "P": "#efe79a",
    "HY": "#a7dede",
}
_NUCLEOTIDE = {"A": "#b7e0b1", "C": "#a6c8f0", "G": "#f2cf9e", "TU": "#f3b0a8"}
_AGREED = 0.3  # of a column's letters are of a kind: else its colours say nothing


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path("request.json").read_text("utf-8"))
    chosen = request["parameters"]
    text = Path(request["inputs"]["alignment"][0]["path"]).read_text("utf-8")
    records = [part.partition("\n") for part in ("\n" + text).split("\n>")[1:]]
    rows = ["".join(letters.split()) for _, _, letters in records]
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        sys.exit("this is no alignment: its rows differ in length, or there are none")
    names = [title.split()[0] if title.split() else "" for title, _, _ in records]
    picture = draw(names, rows, chosen["sequences"], chosen["columns"], chosen["width"])
    Path("outputs/picture.svg").write_text(picture, "utf-8")
    head = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Alignment</title></head><body>'
    Path("outputs/page.html").write_text(f"{head}\n{picture}</body></html>\n", "utf-8")


def draw(names: list[str], rows: list[str], most_rows: int, most_columns: int, width: int) -> str:
    """Return the picture of the first rows and columns."""
    groups = _PROTEIN if any(set(row.upper()) & _PROTEIN_ONLY for row in rows) else _NUCLEOTIDE
    kind_of = {letter: colour for letters, colour in groups.items() for letter in letters}
    shown, columns = rows[:most_rows], min(most_columns, len(rows[0]))
    agreed = [agreement([row[at].upper() for row in rows], kind_of) for at in range(columns)]
    left = _MARGIN + min(_LONGEST_NAME, max(map(len, names[:most_rows]))) * _LETTER + 8
    parts, y = [], float(_MARGIN)
    for first in range(0, columns, width):
        block = range(first, min(first + width, columns))
        parts.append(block_of(names, shown, block, agreed, kind_of, left, y))
        y += 16 + _BAR + len(shown) * _ROW + 20
    parts.append(f'<text x="{_MARGIN}" y="{y:.0f}">{escape(note(len(rows), len(rows[0]), len(shown), columns))}</text>')
    wide, high = left + min(width, columns) * _CELL + _MARGIN + 40, y + _MARGIN
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" \
viewBox="0 0 {wide:.0f} {high:.0f}" role="img">
<title>Alignment of {len(rows)} sequences</title>
<style>text{{font:11px sans-serif;fill:#1a1a2e}}text.l{{font-family:monospace}}text.n{{text-anchor:end}}\
text.r{{font-size:9px;fill:#667085}}</style>
<rect width="100%" height="100%" fill="#fff"/>
{"".join(parts)}
</svg>
"""


def agreement(column: list[str], kind_of: dict[str, str]) -> tuple[float, set[str]]:
    """Return which part of a column is its commonest letter, and the kinds that are common in it."""
    letters = Counter(letter for letter in column if letter in kind_of)
    kinds = Counter[str]()
    for letter, count in letters.items():
        kinds[kind_of[letter]] += count
    best = max(letters.values(), default=0) / len(column)
    return best, {kind for kind, count in kinds.items() if count / len(column) >= _AGREED}


def block_of(  # noqa: PLR0913, PLR0917 - what is drawn, and where
    names: list[str],
    rows: list[str],
    block: range,
    agreed: list[tuple[float, set[str]]],
    kind_of: dict[str, str],
    left: float,
    y: float,
) -> str:
    """Return one block of columns: numbers, bars of agreement, names and rows."""
    numbers = [
        f'<text class="r" x="{left + (at - block.start) * _CELL:.0f}" y="{y + 8:.0f}">{at + 1}</text>'
        for at in block
        if at == block.start or (at + 1) % 10 == 0
    ]
    foot = y + 12 + _BAR
    bars = "".join(
        f"M{left + (at - block.start) * _CELL + 1:.0f} {foot:.1f}v{-_BAR * agreed[at][0]:.1f}h{_CELL - 2}V{foot:.1f}z"
        for at in block
        if agreed[at][0]
    )
    boxes: dict[str, list[str]] = {}
    words = []
    for number, row in enumerate(rows):
        top = foot + 4 + number * _ROW
        name = names[number]
        name = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        words.append(f'<text class="n" x="{left - 8:.0f}" y="{top + 11:.0f}">{escape(name)}</text>')
        letters = row[block.start : block.stop]
        places = " ".join(f"{left + at * _CELL + 1:g}" for at in range(len(letters)))
        words.append(f'<text class="l" x="{places}" y="{top + 11:.0f}">{escape(letters)}</text>')
        for at in block:
            kind = kind_of.get(row[at].upper())
            if kind in agreed[at][1]:
                place = f"M{left + (at - block.start) * _CELL:.0f} {top:.0f}h{_CELL}v{_ROW}h-{_CELL}z"
                boxes.setdefault(str(kind), []).append(place)
    painted = [f'<path fill="{colour}" d="{"".join(boxes[colour])}"/>' for colour in sorted(boxes)]
    return "".join([*numbers, f'<path fill="#98a2b3" d="{bars}"/>', *painted, *words])


def note(rows: int, columns: int, shown_rows: int, shown_columns: int) -> str:
    """Return what stands below the picture."""
    words = f"{rows} sequences, {columns} columns"
    left_out = []
    if shown_rows < rows:
        left_out.append(f"the first {shown_rows} sequences")
    if shown_columns < columns:
        left_out.append(f"the first {shown_columns} columns")
    return f"{words}; shown are {' and '.join(left_out)}" if left_out else words


if __name__ == "__main__":
    main()
