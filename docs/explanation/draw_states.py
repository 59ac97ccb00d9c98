"""Draw the states of a job from the table of moves: ``python docs/explanation/draw_states.py``."""

from __future__ import annotations

import math
from pathlib import Path

from multiblast.database import JobStatus
from multiblast.jobs import MOVES

PLACES = {
    JobStatus.QUEUED: (110, 200),
    JobStatus.IN_PROGRESS: (360, 200),
    JobStatus.COMPLETE: (620, 80),
    JobStatus.FAILED: (620, 200),
    JobStatus.CANCELLED: (620, 320),
    JobStatus.PAUSED: (360, 410),
    JobStatus.EXPIRED: (880, 200),
}
# How far an arrow bends aside, as a part of its length; arrows there and back bend to opposite sides by themselves.
BENDS = {
    (JobStatus.EXPIRED, JobStatus.QUEUED): -0.28,
    (JobStatus.QUEUED, JobStatus.COMPLETE): -0.2,
    (JobStatus.QUEUED, JobStatus.FAILED): -0.16,
    (JobStatus.FAILED, JobStatus.QUEUED): -0.16,
    (JobStatus.CANCELLED, JobStatus.QUEUED): -0.22,
    (JobStatus.CANCELLED, JobStatus.COMPLETE): 0.32,
    (JobStatus.PAUSED, JobStatus.EXPIRED): -0.14,
}
BEND, WIDTH, HEIGHT = 0.09, 120, 44
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 990 470" font-family="sans-serif" font-size="16">
<title>The states of a job and the moves between them</title>
<rect width="990" height="470" fill="#ffffff"/>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 10 5 0 10z" fill="#444444"/></marker></defs>"""


def draw() -> str:
    """Return the drawing as SVG."""
    arrows = [_arrow(source, target) for source in JobStatus for target in sorted(MOVES[source])]
    return "\n".join([HEAD, *arrows, *map(_box, JobStatus), "</svg>", ""])


def _arrow(source: JobStatus, target: JobStatus) -> str:
    (x1, y1), (x2, y2) = PLACES[source], PLACES[target]
    bend = BENDS.get((source, target), BEND)
    middle = ((x1 + x2) / 2 - (y2 - y1) * bend * 2, (y1 + y2) / 2 + (x2 - x1) * bend * 2)
    start, end = _edge((x1, y1), middle), _edge((x2, y2), middle)
    path = f"M{start[0]:.0f} {start[1]:.0f}Q{middle[0]:.0f} {middle[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
    return f'<path d="{path}" fill="none" stroke="#444444" stroke-width="1.5" marker-end="url(#tip)"/>'


def _edge(centre: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Return where the line from a box's centre leaves the box."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min((WIDTH / 2 + 3) / abs(dx) if dx else math.inf, (HEIGHT / 2 + 3) / abs(dy) if dy else math.inf)
    return centre[0] + dx * scale, centre[1] + dy * scale


def _box(status: JobStatus) -> str:
    x, y = PLACES[status]
    box = f'<rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8"'
    return f'{box} fill="#eef3fa" stroke="#2c5282"/><text x="{x}" y="{y + 5}" text-anchor="middle">{status}</text>'


if __name__ == "__main__":
    Path(__file__).with_name("states.svg").write_text(draw())
