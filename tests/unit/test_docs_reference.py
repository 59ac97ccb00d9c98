"""The reference pages that are made are those that the code makes."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PICTURE = re.compile(r"!\[[^]]*\]\(([^)]+)\)")


@pytest.mark.parametrize(
    ("script", "page"),
    [
        ("make_options.py", "options.md"),
        ("make_blocks.py", "settings.md"),
        ("make_flows.py", "flows.md"),
        ("make_formats.py", "formats.md"),
        ("make_actions.py", "actions.md"),
    ],
)
def test_docs_reference_page_is_current(script: str, page: str) -> None:
    made = runpy.run_path(str(REFERENCE / script))["page"]()
    assert (REFERENCE / page).read_text(encoding="utf-8") == made, f"run docs/reference/{script}"


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/*/*.md")), ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_docs_pictures_are_there(page: Path) -> None:
    missing = [name for name in PICTURE.findall(page.read_text(encoding="utf-8")) if not (page.parent / name).exists()]
    assert missing == []
