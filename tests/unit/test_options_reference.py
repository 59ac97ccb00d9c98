"""The reference page of the options is the one their declarations make."""

from __future__ import annotations

import runpy
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_options_reference_page_is_current() -> None:
    made = runpy.run_path(str(REFERENCE / "make_options.py"))["page"]()
    assert (REFERENCE / "options.md").read_text(encoding="utf-8") == made, "run docs/reference/make_options.py"
