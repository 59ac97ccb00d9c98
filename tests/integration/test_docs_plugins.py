"""The pages about plugins: their commands and examples do what they say, in their order."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from multiblast.plugins.events import Events, Progress
from multiblast.plugins.git_sources import GitSource
from multiblast.plugins.records import Configuration
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.people import ADMINISTRATOR

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "install-plugins.md").read_text(encoding="utf-8")
ASKING = (DOCS / "how-to" / "let-a-plugin-ask-or-call.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?m)^\$ multiblast (.*)$", PAGE)


def test_commands_of_the_page_succeed(tmp_path: Path) -> None:
    environment = {**os.environ, "MULTIBLAST_HOME": str(tmp_path / "home")}
    environment.pop("PREFECT_API_URL", None)
    for command in COMMANDS:
        words = [sys.executable, "-m", "multiblast", *shlex.split(command)]
        subprocess.run(words, cwd=tmp_path, env=environment, check=True)


@pytest.mark.parametrize("line", re.findall(r"'?(git\+\w+://[^\s'\"]+)", PAGE))
def test_git_line_of_the_page_is_one(line: str) -> None:
    assert GitSource.parse(line).url.endswith("example.org/group/plugins")


def test_configuration_of_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "plugins.toml").write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert Configuration.read(tmp_path).coupling("mafft") == "https"
    assert Configuration.read(tmp_path).sources.folders == ("/srv/plugins",)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The plugins of the page about questions and calls, in a folder, and its test."""
    blocks = re.findall(r"```python\n(.*?)```", ASKING, re.DOTALL)
    picking, calling = (block for block in blocks if "[tool.multiblast.plugin]" in block)
    (trial,) = (block for block in blocks if "try_plugin" in block)
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    folder = tmp_path / "asking"
    folder.mkdir()
    (folder / "pick_sequences.py").write_text(picking)
    (folder / "align_long.py").write_text(calling)
    monkeypatch.chdir(folder)
    return folder, trial


def test_plugin_that_asks_passes_its_test(asked: tuple[Path, str]) -> None:
    exec(compile(asked[1], "page", "exec"), {})  # noqa: S102 - what the page says


def test_plugin_that_calls_aligns_by_another_one(asked: tuple[Path, str], services: Services) -> None:
    if not shutil.which("mafft"):
        pytest.skip("mafft is needed to align")
    services.policy = Policy(plugins=PluginRules(folders=(str(asked[0]),), packages=False))
    for name in ("pick-sequences", "align-long"):
        services.environments.prepare(services.catalogue.get(name))
    Path("some.fasta").write_text(">a\nMKVLAAGIVG\n>b\nMKV\n>c\nMKVLAGIVG\n")
    job_id = services.plugin_jobs.submit(ADMINISTRATOR, "align-long", ["some.fasta"], {"least": 5})
    services.plugin_jobs.execute(job_id)
    with services.plugin_jobs.file(ADMINISTRATOR, job_id, "alignment.fasta") as stream:
        assert stream.read() == b">a\nMKVLAAGIVG\n>c\nMKVL-AGIVG\n"


def test_snippets_of_events_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = re.findall(r"```python\n(.*?)```", ASKING, re.DOTALL)[:2]
    notes: list[Progress | str] = []
    with Events("page", tmp_path, note=notes.append) as events:
        monkeypatch.setenv("MULTIBLAST_EVENTS", str(events.path))
        exec(compile(first + second, "page", "exec"), {})  # noqa: S102 - what the page says
        events.finish()
    assert notes == [Progress(0, 0, 40, "sequences"), "three sequences are too short, and are left out"]
