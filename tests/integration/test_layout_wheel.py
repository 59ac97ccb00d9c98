"""The built wheel holds the domain and works without the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.places import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the build backend that is installed here."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def _python_with(wheel: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python, elsewhere, with the wheel unpacked and its dependencies, but without the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "installed")
    # Without site (-S) the editable install's path file is not read.
    path = os.pathsep.join([str(directory / "installed"), sysconfig.get_path("purelib")])
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_only_the_domain(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        rooms = {name.partition("/")[0] for name in archive.namelist()}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"multiblast"}


def test_wheel_carries_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert b"Apache License" in archive.read(licence)


def test_wheel_imports_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    code = "import multiblast.ids as m; print(m.__file__)"
    done = _python_with(wheel, tmp_path, "-c", code)
    assert done.stdout.strip() == str(tmp_path / "installed" / "multiblast" / "ids.py"), done.stderr


def test_command_of_a_wheel_alone_says_what_to_type(wheel: Path, tmp_path: Path) -> None:
    done = _python_with(wheel, tmp_path, "-m", "multiblast")
    assert done.returncode == 2
    assert "make install" in done.stderr
    assert done.stderr.count("\n") == 1
