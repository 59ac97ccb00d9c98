"""Where the repository is, and the data that it ships."""

from __future__ import annotations

from pathlib import Path

__all__ = ["EXAMPLES", "ROOT"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "data"
