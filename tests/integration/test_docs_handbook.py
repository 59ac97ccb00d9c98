"""The commands of the administrator's handbook, and those of backups, do what they say; its units are valid."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.support.http_service import HereStarter, serving

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"
HANDBOOK, BACKUP = (HOW_TO / name for name in ("administer.md", "back-up-and-upgrade.md"))
PROGRAMS = {"curl", "sqlite3", "systemd-analyze"}
SECRET = "a secret of tests"  # noqa: S105 - no other


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def _commands(page: Path) -> list[str]:
    return [line.removeprefix("$ ") for block in _blocks(page, "console") for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, the units of the handbook, and sequences to make a database of."""
    place = tmp_path_factory.mktemp("handbook")
    (place / "home" / "targets").mkdir(parents=True)
    (place / "proteins.fasta").write_text(">one\nMKVLAAGIVGLLLAQWERTYIPMKVLAAGIVG\n")
    for unit in _blocks(HANDBOOK, "ini"):
        head, _, text = unit.partition("\n")
        (place / Path(head).name).write_text(text.replace("/opt/multiblast", str(ROOT)))
    return place


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """A service behind a proxy."""
    database, store = Database(f"sqlite:///{place / 'home' / 'jobs.sqlite'}"), LocalStore(place / "home" / "store")
    policy = Policy(trust_unnamed=False, http=HttpRules(user_header="X-Auth-Request-User"))
    services = Services(database, store, Installation(), Targets(place / "home" / "targets"), QueryLimits(), policy)
    _ = database.engine  # there are records to back up
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBLAST_PROXY_SECRET", SECRET)
        with serving(services, HereStarter(services)) as url:
            yield url


@pytest.mark.parametrize("command", [*_commands(BACKUP), *_commands(HANDBOOK)])
def test_command_of_the_handbook_succeeds(place: Path, url: str, command: str) -> None:
    """In the order of the pages: backups first, of which the handbook copies the records."""
    program = command.split(maxsplit=1)[0]
    if program not in {"multiblast", "for", "home=${MULTIBLAST_HOME:-~/.local/share/multiblast};"}:
        found = shutil.which(program)
        if not found:
            pytest.skip(f"{program} is needed to run this command")
    text = command.replace("http://127.0.0.1:4201", url).replace("/etc/systemd/system", str(place))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MULTIBLAST_"))}
    home = {"MULTIBLAST_HOME": str(place / "home"), "home": str(place / "home"), "MULTIBLAST_PROXY_SECRET": SECRET}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=place,
        env={**kept, **home, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if command.startswith("systemd-analyze"):
        assert done.stdout + done.stderr == ""
