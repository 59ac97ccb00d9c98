"""The reference pages that are made are those that the code makes."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer

from deployments.command_line import app
from multiblast.plugins.events import Events
from tests.support.places import ROOT

REFERENCE = ROOT / "docs" / "reference"
COMMAND = re.compile(r"(?m)(?:`|^\s*\$ )(?:\.venv/bin/)?multiblast ([a-z][^`\n]*)")
PICTURE = re.compile(r"!\[[^]]*\]\(([^)]+)\)")


@pytest.mark.parametrize(
    ("script", "page"),
    [
        ("make_options.py", "options.md"),
        ("make_blocks.py", "settings.md"),
        ("make_flows.py", "flows.md"),
        ("make_formats.py", "formats.md"),
        ("make_actions.py", "actions.md"),
        ("make_plugins.py", "plugins.md"),
    ],
)
def test_docs_reference_page_is_current(script: str, page: str) -> None:
    made = runpy.run_path(str(REFERENCE / script))["page"]()
    assert (REFERENCE / page).read_text(encoding="utf-8") == made, f"run docs/reference/{script}"


def test_docs_reference_examples_of_events_are_read(tmp_path: Path) -> None:
    """Each line that the page shows is one that a plugin may write; there is one of every kind."""
    page = (REFERENCE / "plugins.md").read_text(encoding="utf-8")
    lines = re.findall(r'(?m)^\{"(\w+)": .*\}$', page)
    assert sorted(lines) == ["ask", "call", "log", "output", "progress"]
    for line in re.findall(r'(?m)^\{"\w+": .*\}$', page):
        directory = tmp_path / line[2:6].strip('"')
        directory.mkdir()
        with Events("page", directory) as events:
            events.path.write_text(f"{line}\n", encoding="utf-8")
            events.finish()


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/*/*.md")), ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_docs_pictures_are_there(page: Path) -> None:
    missing = [name for name in PICTURE.findall(page.read_text(encoding="utf-8")) if not (page.parent / name).exists()]
    assert missing == []


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/*/*.md")), ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_docs_name_commands_and_options_that_there_are(page: Path) -> None:
    for line in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
        words = shlex.split(line.replace("…", ""), comments=True)
        group = typer.main.get_command(app)
        while words and hasattr(group, "resolve_command"):
            _, group, words = group.resolve_command(typer.Context(group), words)
        known = {name for parameter in group.params for name in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.partition("=")[0].strip("[],;.") for word in words if word.startswith("--")}
        assert options <= known | {"--help"}, line
