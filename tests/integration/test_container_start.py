"""What a container does at its start, tried as a process: plugins are made ready, or it is said what they lack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.plugins import write_table
from tests.support.processes import unset_environment

NO_SERVER = "no server is known"
"""What the mode `register` says without a server, once plugins are ready."""


@pytest.fixture
def line(tmp_path: Path) -> str:
    """A git line of a repository with a plugin."""
    repository = tmp_path / "repository"
    write_table(repository / "of-git", "of-git")
    git = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "1"], check=True)
    return f"git+file://{repository}"


def start(home: Path, **variables: str) -> tuple[int, str]:
    environment = unset_environment() | {"MULTIBLAST_HOME": str(home), "HOME": str(home)} | variables
    command = [sys.executable, "-m", "deployments", "container"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_plugins_of_git_and_of_the_mounted_folder_are_ready_before_the_service(tmp_path: Path, line: str) -> None:
    extra = tmp_path / "extra-plugins"
    write_table(extra / "mounted", "mounted")
    tool = '\n[tool]\ncommand = ["no-such-tool"]\npattern = "(1)"\ndebian = "no-such-package"\n'
    write_table(extra / "lacking", "lacking", more=tool)
    (write_table(extra / "bad", "bad") / "plugin.toml").write_text("name = 1")
    lines = f"\n# ours\n{line}\n"
    code, said = start(tmp_path / "home", CONTAINER_MODE="register", GIT_PLUGINS=lines, MULTIBLAST_PLUGINS=str(extra))
    assert code == 1
    assert f"fetched {line} at " in said
    assert "plugin of-git@1.0 is ready" in said
    assert "plugin mounted@1.0 is ready" in said
    assert "plugin lacking@1.0 is not ready: no-such-tool is not installed. Type: apt-get install no-such-pack" in said
    assert f"broken: {extra / 'bad'}" in said
    assert said.index("broken: ") < said.index(NO_SERVER)


def test_repository_that_cannot_be_fetched_ends_the_container(tmp_path: Path) -> None:
    line = f"git+file://{tmp_path}/nothing"
    code, said = start(tmp_path / "home", CONTAINER_MODE="register", GIT_PLUGINS=line)
    assert code == 1
    assert line in said
    assert "mend GIT_PLUGINS" in said
    assert NO_SERVER not in said


def test_folder_that_is_not_mounted_is_made(tmp_path: Path) -> None:
    extra = tmp_path / "extra-plugins"
    _, said = start(tmp_path / "home", CONTAINER_MODE="register", MULTIBLAST_PLUGINS=str(extra))
    assert extra.is_dir()
    assert "broken" not in said


def test_unknown_mode_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    code, said = start(tmp_path, CONTAINER_MODE="broker")
    assert code == 1
    assert "set it to server, worker, web, register, all" in said
