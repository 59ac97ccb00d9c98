"""Environments of plugins: one for each lock, made once, kept while it is used; and the tools that they run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from multiblast.errors import InvalidInputError
from multiblast.plugins.catalogue import described
from multiblast.plugins.environments import Environments, PreparationError, find_uv
from multiblast.plugins.plugin import Plugin, Source, SourceKind
from multiblast.plugins.records import PinFile
from multiblast.plugins.requirements import requirements_of
from multiblast.plugins.sources import Candidate
from multiblast.plugins.tools import ToolError, tool_version
from tests.support.plugins import COMMAND, write_script, write_table

_SOURCE = Source(SourceKind.FOLDER, "tests")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def _script(path: Path, *dependencies: str, name: str = "one", version: str = "1.0") -> Plugin:
    return described(Candidate(write_script(path, name, version, dependencies), _SOURCE))


def _run(python: Path | None, code: str) -> str:
    assert python is not None
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_contradicting_requirements_work_side_by_side_and_equal_ones_share(tmp_path: Path) -> None:
    environments = Environments()
    old = environments.prepare(_script(tmp_path / "old.py", "six<1.17"))
    new = environments.prepare(_script(tmp_path / "new.py", "six>=1.17", name="two"))
    same = environments.prepare(_script(tmp_path / "same.py", "six >= 1.17", name="three"))
    assert _run(old.python, "import six; print(six.__version__)") == "1.16.0"
    assert _run(new.python, "import six; print(six.__version__)") >= "1.17"
    assert new == same
    assert old.digest != new.digest


@pytest.mark.long
def test_two_versions_of_numpy_work_side_by_side(tmp_path: Path) -> None:
    environments = Environments()
    old = environments.prepare(_script(tmp_path / "old.py", "numpy<2"))
    new = environments.prepare(_script(tmp_path / "new.py", "numpy>=2", name="two"))
    programs = [
        subprocess.Popen([str(one.python), "-c", "import numpy; print(numpy.__version__)"], stdout=subprocess.PIPE)
        for one in (old, new)
    ]
    assert [program.communicate()[0][:1] for program in programs] == [b"1", b"2"]


def test_environment_is_made_once_without_what_ours_has(tmp_path: Path) -> None:
    environments = Environments()
    plugin = _script(tmp_path / "one.py")
    assert environments.find(plugin) is None
    made = environments.prepare(plugin)
    assert environments.find(plugin) == made
    assert made.packages is not None
    assert _run(made.python, "import importlib.util as u; print(u.find_spec('pydantic'))") == "None"
    began = time.perf_counter()
    assert environments.prepare(plugin) == made
    assert time.perf_counter() - began < 0.05


def test_environment_that_a_killed_process_left_is_made_anew(tmp_path: Path, home: Path) -> None:
    plugin = _script(tmp_path / "one.py", "six==1.17.0")
    made = Environments().prepare(plugin)
    place = home / "plugins" / "environments" / made.digest
    (place / "ready").unlink()
    (place / "bin" / "python").unlink()
    assert Environments().prepare(plugin) == made
    assert _run(made.python, "import six; print(six.__version__)") == "1.17.0"


def test_environment_whose_making_was_killed_is_made_by_the_next(tmp_path: Path, home: Path) -> None:
    plugin = _script(tmp_path / "one.py", "six==1.17.0")
    code = (
        "import sys; from pathlib import Path; from multiblast.plugins.catalogue import described; "
        "from multiblast.plugins.environments import Environments; from multiblast.plugins.plugin import *; "
        "from multiblast.plugins.sources import Candidate; "
        "Environments().prepare(described(Candidate(Path(sys.argv[1]), Source(SourceKind.FOLDER, 'x'))))"
    )
    place = home / "plugins" / "environments" / Environments().digest(plugin)
    with subprocess.Popen([sys.executable, "-c", code, str(plugin.path)]) as process:
        while not place.exists():
            time.sleep(0.001)
        process.kill()
    assert not (place / "ready").exists()
    made = Environments().prepare(plugin)
    assert _run(made.python, "import six; print(six.__version__)") == "1.17.0"


def test_several_that_need_an_environment_at_once_make_it_once(tmp_path: Path) -> None:
    plugin = _script(tmp_path / "one.py", "six==1.17.0")
    with ThreadPoolExecutor() as threads:
        made = list(threads.map(lambda _: Environments().prepare(plugin), range(4)))
    assert len(set(made)) == 1
    assert _run(made[0].python, "import six; print(six.__version__)") == "1.17.0"


def test_lock_of_another_machine_counts(tmp_path: Path) -> None:
    theirs = Environments(tmp_path / "theirs").lock(_script(tmp_path / "old.py", "six==1.16.0"))
    made = Environments().prepare(_script(tmp_path / "one.py", "six"), lock=theirs)
    assert made.digest == theirs.digest  # type: ignore[union-attr]
    assert _run(made.python, "import six; print(six.__version__)") == "1.16.0"


def test_environment_shares_no_file_with_the_cache(tmp_path: Path) -> None:
    """Else a plugin that writes to its own packages would change those of others."""
    made = Environments().prepare(_script(tmp_path / "one.py", "six==1.17.0"))
    assert made.packages is not None
    assert made.packages.joinpath("six.py").stat().st_nlink == 1


def test_lock_stays_until_it_is_renewed(tmp_path: Path) -> None:
    environments, plugin = Environments(), _script(tmp_path / "one.py", "six")
    lock = environments.lock(plugin)
    assert lock is not None
    assert [name.partition("==")[0] for name in lock.packages] == ["six"]
    old = _script(tmp_path / "old.py", "six==1.16.0", name="two")
    older = environments.lock(old)
    PinFile().set_lock(requirements_of(plugin).digest, older.digest)  # type: ignore[union-attr]  # as locked long ago
    assert environments.digest(plugin) == older.digest  # type: ignore[union-attr]
    assert environments.lock(plugin, renew=True) == lock
    assert environments.digest(plugin) == lock.digest


def test_dry_lock_writes_nothing(tmp_path: Path, home: Path) -> None:
    lock = Environments().lock(_script(tmp_path / "one.py", "six==1.17.0"), keep=False)
    assert lock is not None
    assert lock.packages == ["six==1.17.0"]
    assert not home.exists()


def test_offline_what_was_fetched_suffices_and_what_was_not_is_named(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = _script(tmp_path / "one.py", "six==1.17.0")
    Environments().prepare(plugin)
    subprocess.run(["rm", "-r", str(home)], check=True)
    assert Environments().prepare(plugin, offline=True).python
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    subprocess.run(["rm", "-r", str(home / "plugins" / "environments")], check=True)
    with pytest.raises(PreparationError, match="six") as refused:
        Environments().prepare(plugin, offline=True)
    assert "six" in refused.value.missing
    other = _script(tmp_path / "two.py", "toposort", name="two")
    with pytest.raises(PreparationError) as refused:
        Environments().prepare(other, offline=True)
    assert refused.value.missing == "toposort"


def test_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_script(tmp_path / "one.py")
    path.write_text(path.read_text().replace("# dependencies", '# requires-python = ">=3.99"\n# dependencies'))
    with pytest.raises(PreparationError, match=r"it needs Python >=3\.99, which is not installed"):
        Environments().prepare(described(Candidate(path, _SOURCE)))


def test_requirements_that_nothing_satisfies_are_said(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match=r"one@1\.0.*six>=99"):
        Environments().lock(_script(tmp_path / "one.py", "six>=99"))


def test_project_and_requirements_beside_the_table_are_read(tmp_path: Path) -> None:
    (write_table(tmp_path / "a", run='script = "a.py"') / "a.py").touch()
    (tmp_path / "a" / "requirements.txt").write_text("# ours\nsix==1.17.0 \\\n    --hash=sha256:00\n\n")
    plugin = described(Candidate(tmp_path / "a", _SOURCE))
    assert requirements_of(plugin).lines == ("six==1.17.0",)
    (tmp_path / "a" / "pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six<1.17"]\n'
    )
    lock = Environments().lock(plugin)
    assert lock is not None
    assert lock.packages == ["six==1.16.0"]
    subprocess.run([find_uv(), "lock", "-q"], cwd=tmp_path / "a", check=True)
    pinned = Environments().lock(plugin)
    assert pinned is not None
    assert pinned.packages == lock.packages
    assert Environments().prepare(plugin).packages.joinpath("six.py").exists()  # type: ignore[union-attr]
    (tmp_path / "a" / "requirements.txt").write_text("--index-url https://h.org\nsix\n")
    (tmp_path / "a" / "pyproject.toml").unlink()
    with pytest.raises(InvalidInputError, match="--index-url"):
        requirements_of(plugin)


def test_command_without_requirements_needs_no_environment(tmp_path: Path, home: Path) -> None:
    plugin = described(Candidate(write_table(tmp_path / "a"), _SOURCE))
    assert Environments().prepare(plugin).python is None
    assert Environments().digest(plugin) == ""
    assert not home.exists()


def test_sweep_removes_what_nobody_used_for_a_month(tmp_path: Path, home: Path) -> None:
    environments = Environments()
    used = environments.prepare(_script(tmp_path / "one.py"))
    unused = environments.prepare(_script(tmp_path / "two.py", "six==1.17.0", name="two"))
    long_ago = time.time() - 31 * 86400
    for one in (used, unused):
        os.utime(home / "plugins" / "environments" / one.digest / "ready", (long_ago, long_ago))
    environments.prepare(_script(tmp_path / "one.py"))
    assert environments.sweep() == [unused.digest]
    assert used.python.exists()  # type: ignore[union-attr]
    assert environments.prepare(_script(tmp_path / "two.py", "six==1.17.0", name="two"), offline=True) == unused


def _tool(directory: Path, **keys: str) -> Plugin:
    facts = {"command": '["sort", "--version"]', "pattern": r"'sort \(GNU coreutils\) ([\d.]+)'", **keys}
    more = "[tool]\n" + "".join(f"{key} = {value}\n" for key, value in facts.items())
    return described(Candidate(write_table(directory, run=COMMAND, more=more), _SOURCE))


def test_version_of_a_tool_is_what_it_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tool_version(_tool(tmp_path / "a", requires='">=8"'))[0].isdigit()
    with pytest.raises(ToolError, match=r"is installed, and >=99 is needed. Type: apt-get install coreutils"):
        tool_version(_tool(tmp_path / "b", requires='">=99"', debian='"coreutils"'))
    with pytest.raises(ToolError, match=r"^absent-tool is not installed. Type: apt-get install absent$"):
        tool_version(_tool(tmp_path / "c", command='["absent-tool"]', debian='"absent"'))
    with pytest.raises(ToolError, match="says no version"):
        tool_version(_tool(tmp_path / "d", pattern="'no (version)'"))
    program = tmp_path / "bin" / "mytool"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SECRET_OF_OURS", "3")
    mine = _tool(tmp_path / "e", command='["mytool"]', pattern=r"'v(\S+)'")
    for version in ("1", "2"):  # an upgrade in place is noticed
        program.write_text(f"#!/bin/sh\necho v{version}$SECRET_OF_OURS >&2; exit 1\n")
        program.chmod(0o755)
        assert tool_version(mine) == version


def test_command_has_no_tool(tmp_path: Path) -> None:
    assert tool_version(described(Candidate(write_table(tmp_path / "a"), _SOURCE))) == ""
