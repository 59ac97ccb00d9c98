"""``multiblast plugins``: what an administrator types, and what it says and changes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.command_line import main, session
from multiblast.plugins.environments import Environments
from multiblast.plugins.licences import is_allowed
from tests.support.plugins import COMMAND, write_script, write_table

Run = Callable[..., tuple[int, str, str]]

ABSENT_TOOL = '[tool]\ncommand = ["absent-tool"]\npattern = "(x)"\ndebian = "absent"\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without plugins, built-in ones, or a server."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    monkeypatch.setattr(session, "running_server", lambda: "")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_PROFILE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """``run("list")``: exit code, standard output, standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["multiblast", "plugins", *words])
        code = main()
        return code, *capsys.readouterr()

    return command


def _files(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_place_is_added_shown_and_removed(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "folder"
    write_table(folder / "a", "sorter")
    write_table(folder / "b", "broken", run='command = ["x", "{nothing}"]')
    (folder / "notes.txt").touch()
    code, out, _ = run("add", str(folder))
    assert code == 0
    assert "sorter@1.0" in out
    assert "b: plugin.toml" in out
    _, out, _ = run("list", "--skipped", "--json")
    listed = json.loads(out)
    assert [(row["name"], row["where"]["place"]) for row in listed["plugins"]] == [("sorter", str(folder))]
    assert [row["place"] for row in listed["broken"]] == [str(folder / "b")]
    assert [row["path"] for row in listed["skipped"]] == [str(folder / "notes.txt")]
    _, out, _ = run("show", "sorter")  # on standard output again, after the JSON before
    assert f"path: {folder / 'a'}" in out
    assert run("remove", "sorter")[0] == 0
    assert json.loads(run("list", "--json")[1]) == {"plugins": [], "broken": []}
    code, _, err = run("remove", "sorter")
    assert code == 2
    assert "multiblast plugins list" in err
    (tmp_path / "empty").mkdir()
    code, _, err = run("add", str(tmp_path / "empty"))
    assert code == 2
    assert "no plugin in it" in err
    assert run("add", "git+http://h.org/o/r")[0] == 2


def test_dry_run_prints_both_locks_and_changes_nothing(tmp_path: Path, run: Run, home: Path) -> None:
    write_script(tmp_path / "f" / "old.py", "old", dependencies=("six<1.17",))
    write_script(tmp_path / "f" / "new.py", "new", dependencies=("six==1.17.0",))
    write_table(tmp_path / "f" / "c", "tool", more=ABSENT_TOOL)
    run("add", str(tmp_path / "f"))
    before = _files(home)
    code, out, _ = run("install", "--dry-run")
    assert code == 1  # as the tool is missing
    assert "six==1.16.0" in out
    assert "six==1.17.0" in out
    assert "absent-tool is not installed. Type: apt-get install absent" in out
    assert _files(home) == before
    assert run("install", "--dry-run", "old", "new")[0] == 0
    assert _files(home) == before


def test_dry_run_of_a_new_home_makes_nothing(run: Run, home: Path) -> None:
    assert run("install", "--dry-run")[0] == 0
    assert run("list")[0] == 0
    assert not home.exists()


def test_install_says_by_its_exit_code_whether_all_is_there(tmp_path: Path, run: Run) -> None:
    write_script(tmp_path / "f" / "good.py", "good", dependencies=("six==1.17.0",), body="import six")
    write_script(tmp_path / "f" / "bad.py", "bad", dependencies=("six==1.17.0",), body="import six, muid")
    run("add", str(tmp_path / "f"))
    code, out, _ = run("install", "good", "--json")
    [good] = json.loads(out)
    assert code == 0
    assert good["packages"] == ["six==1.17.0"]
    code, out, _ = run("install")
    assert code == 1
    assert "it imports 'muid'" in out
    assert run("install", "absent")[0] == 2
    assert run("install", "--offline", "good")[0] == 0


def test_repository_is_fetched_by_install_and_moved_by_update(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    place = tmp_path / "r"
    write_script(place / "deep" / "tool.py", "tool", "1.0", ("six<1.17",))
    git = ["git", "-C", str(place), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "1"], check=True)
    line = f"git+file://{place}#subdirectory=/deep"
    monkeypatch.setenv("GIT_PLUGINS", f"\n# ours\n{line}\n")
    assert "it was not fetched yet" in run("list")[1]
    code, out, _ = run("install", "--dry-run")
    assert code == 0
    assert "tool@1.0" in out
    assert not home.exists()
    assert run("install")[0] == 0
    write_script(place / "deep" / "tool.py", "tool", "1.1", ("six==1.17.0",))
    subprocess.run([*git, "commit", "-q", "-am", "2"], check=True)
    assert "tool@1.0" in run("install")[1]
    code, out, _ = run("update", "tool")
    assert code == 0
    assert "before" in out
    assert "tool@1.1" in out
    assert "six==1.17.0" in out
    subprocess.run(["rm", "-r", str(place)], check=True)
    code, out, _ = run("update")
    assert code == 1
    assert "cannot be fetched" in out
    assert "a repository of git is written git+https://h.org/o/r" in " ".join(
        run("add", "https://h.org/o/r")[2].split()
    )
    assert json.loads(run("list", "--json")[1])["plugins"][0]["version"] == "1.1"


def test_licences_of_everything_are_listed_and_one_that_is_not_allowed_is_an_error(tmp_path: Path, run: Run) -> None:
    write_script(tmp_path / "f" / "a.py", "a", dependencies=("six==1.17.0", "idna==3.10"))
    write_table(tmp_path / "f" / "b", "b", more='[tool]\ncommand = ["sort", "--version"]\npattern = "([0-9.]+)"\n')
    run("add", str(tmp_path / "f"))
    _, out, err = run("licences", "--json")
    assert {row["name"] for row in json.loads(out)} == {"a@1.0", "b@1.0"}
    assert "a@1.0" in err
    run("install")
    code, out, _ = run("licences", "--json")
    rows = {row["name"]: row["licence"] for row in json.loads(out)}
    assert code == 0
    assert rows == {"a@1.0": "unknown", "b@1.0": "MIT", "idna 3.10": "BSD", "six 1.17.0": "MIT"}
    code, _, err = run("licences", "--allow", "MIT", "--allow", "unknown")
    assert code == 1
    assert "idna 3.10: BSD is not allowed" in err
    assert run("licences", "--allow", "mit license", "--allow", "unknown", "--allow", "BSD")[0] == 0


@pytest.mark.parametrize(
    ("licence", "allowed", "holds"),
    [
        ("MIT", (), True),
        ("MIT", ("mit",), True),
        ("MIT License", ("MIT",), True),
        ("MIT OR GPL-3.0-only", ("MIT",), True),
        ("MIT AND GPL-3.0-only", ("MIT",), False),
        ("(MIT OR X) AND Apache-2.0", ("X", "Apache-2.0"), True),
        ("MIT OR X AND Y", ("X",), False),
        ("GPL-2+", ("GPL-2.0-or-later",), True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ("GPL-2.0-only",), False),
        ("Notice and Disclaimer", ("Notice and Disclaimer",), True),
        ("unknown", ("MIT",), False),
        ("MIT)", ("MIT",), False),
        ("(MIT", ("MIT",), False),
        ("", ("MIT",), False),
    ],
)
def test_licence_is_allowed_by_its_expression(licence: str, allowed: tuple[str, ...], holds: bool) -> None:
    assert is_allowed(licence, allowed) is holds


def test_licence_that_the_policy_does_not_allow_stops_the_installation(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiblast.settings import PluginRules, Policy

    write_table(tmp_path / "f" / "a", "a")
    rules = PluginRules(folders=(str(tmp_path / "f"),), licences=("Apache-2.0",))
    monkeypatch.setattr("deployments.command_line.plugins.local_policy", lambda: Policy(plugins=rules))
    code, out, _ = run("install")
    assert code == 1
    assert "the licence of a@1.0, MIT, is not among policy.plugins.licences" in out


def test_page_of_a_plugin_is_made_from_its_table(tmp_path: Path, run: Run) -> None:
    more = '[parameters.order]\ntype = "choice"\nchoices = ["up", "down"]\ndefault = "up"\nhelp = "Up | <b>down</b>."\n'
    write_table(tmp_path / "f" / "a", "sorter", more=more, run=COMMAND)
    run("add", str(tmp_path / "f"))
    _, out, _ = run("docs", "sorter")
    assert out.startswith("# sorter\n")
    assert "| `order` | up, down | up | Up \\| &lt;b>down&lt;/b> |" in out
    assert "| `lines` | text | text/plain | one |  |" in out
    assert run("docs", "--all")[1].startswith("## sorter\n")
    assert run("docs")[0] == 2


def test_environment_is_shared_by_plugins_of_the_same_needs(tmp_path: Path, run: Run) -> None:
    for name in ("a", "b"):
        write_script(tmp_path / "f" / f"{name}.py", name, dependencies=("six==1.17.0",))
    run("add", str(tmp_path / "f"))
    first, second = json.loads(run("install", "--json")[1])
    assert first["environment"] == second["environment"]
    assert Environments().sweep() == []


@pytest.mark.parametrize("kind", ["--script", "--command"])
def test_new_plugin_has_a_test_that_passes_at_once(tmp_path: Path, run: Run, kind: str) -> None:
    code, *said = run("new", "my-plugin", kind, "--into", str(tmp_path))
    assert code == 0
    assert "plugin.toml" in "".join(said)
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path / "my-plugin")]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert run("add", str(tmp_path / "my-plugin"))[0] == 0
    assert run("install", "my-plugin")[0] == 0
    assert run("new", "my-plugin", "--into", str(tmp_path))[0] == 2
    assert run("new", "My plugin", "--into", str(tmp_path))[0] == 2
