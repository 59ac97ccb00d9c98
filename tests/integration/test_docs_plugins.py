"""The page about installing plugins: its commands do what it says, in their order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from multiblast.plugins.git_sources import GitSource
from multiblast.plugins.records import Configuration

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "install-plugins.md").read_text(encoding="utf-8")
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
