"""Draw the floors and rooms of the code as an SVG, from the import contracts in ``pyproject.toml``.

Run it after a change of the contracts: ``python docs/explanation/draw_floors.py``.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
_ROOM_W, _ROOM_H, _GAP, _LABEL_W = 104, 30, 8, 128
_STYLE = """<style>
text { font: 12px sans-serif; fill: #222 } .floor { fill: #f3f5f7; stroke: #c5ccd3 }
.room { fill: #fff; stroke: #55708a } .outer { fill: #e4ecf4; stroke: #55708a } .label { fill: #55606a }
</style>"""
ABOVE = {
    "deployments": "start-up, command line, schedules",
    "flows": "in which order things happen",
    "tasks": "what Prefect retries, caches, shows",
    "blocks": "places, credentials, settings",
}


def contracts() -> list[list[str]]:
    """Return the layers of each contract, upper floors first."""
    settings = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    found = settings["tool"]["importlinter"]["contracts"]
    return [contract["layers"] for contract in found if contract["type"] == "layers"]


def draw() -> str:
    """Return the drawing: the packages that know Prefect, and below them the rooms of the domain."""
    packages, rooms = contracts()[0], contracts()[1]
    floors: list[tuple[str, list[str], str]] = []
    for name in packages:
        if name == "multiblast":
            floors += [("", [room.strip("() ") for room in floor.split("|")], "room") for floor in rooms]
        else:
            floors.append((ABOVE.get(name, ""), [name], "outer"))
    width = _LABEL_W + max(len(names) for _, names, _ in floors) * (_ROOM_W + _GAP) + 4 * _GAP
    height = len(floors) * (_ROOM_H + 2 * _GAP) + _GAP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">', _STYLE]
    first_room = next(number for number, (_, _, kind) in enumerate(floors) if kind == "room")
    for number, (label, names, kind) in enumerate(floors):
        y = _GAP + number * (_ROOM_H + 2 * _GAP)
        parts.append(f'<rect class="floor" x="2" y="{y}" width="{width - 4}" height="{_ROOM_H + _GAP}" rx="3"/>')
        floor = "multiblast, top" if number == first_room else "ground" if number == len(floors) - 1 else ""
        parts.append(f'<text class="label" x="12" y="{y + 24}">{floor}</text>')
        for place, name in enumerate(names):
            x = _LABEL_W + place * (_ROOM_W + _GAP)
            parts.append(f'<rect class="{kind}" x="{x}" y="{y + 4}" width="{_ROOM_W}" height="{_ROOM_H}" rx="3"/>')
            middle = x + _ROOM_W // 2
            parts.append(f'<text x="{middle}" y="{y + 24}" text-anchor="middle">{escape(name)}</text>')
        if label:
            x = _LABEL_W + len(names) * (_ROOM_W + _GAP)
            parts.append(f'<text class="label" x="{x + 4}" y="{y + 24}">{escape(label)}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (HERE / "floors.svg").write_text(draw(), encoding="utf-8")
