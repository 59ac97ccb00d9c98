"""fair-cli as PyPI has it, in an environment of its own, with our registry as its local one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from uv import find_uv_bin

from multiblast.registry.api.local_api import LocalApi
from web.registry.serving import serving

VERSION = "0.11.0"


def install(directory: Path) -> Path | None:
    """Install fair-cli below a directory; return its program, or None where it cannot be had."""
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--clear", str(directory), "--python", sys.executable], check=True)
    words = [uv, "pip", "install", "-q", "--python", str(directory / "bin" / "python"), f"fair-cli=={VERSION}"]
    done = subprocess.run(words, capture_output=True, check=False)
    return None if done.returncode else directory / "bin" / "fair"


@dataclass(frozen=True, slots=True)
class Session:
    """A project in which fair-cli is set up."""

    program: Path
    project: Path
    home: Path

    def run(self, *words: str) -> str:
        """Run a command; return what it prints."""
        surroundings = {**os.environ, "HOME": str(self.home), "FAIR_REGISTRY_DIR": str(self.home / "local")}
        done = subprocess.run(
            [str(self.program), *words], cwd=self.project, env=surroundings, capture_output=True, text=True,
            check=False, timeout=3600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def session(  # noqa: PLR0913, PLR0917 - who, where, and with which registries
    program: Path, project: Path, home: Path, api: LocalApi, remote: str, token: str, space: str
) -> Iterator[Session]:
    """Serve a local registry, and set fair-cli up for it in a git repository.

    Args:
        program: fair-cli's.
        project: The repository.
        home: An existing directory, which is its home.
        api: Of the local registry.
        remote: The address of the remote registry's API.
        token: Of the remote registry.
        space: The namespace to read and write.
    """
    tokens = {"local": api.token, "origin": token}
    for name, word in tokens.items():
        (home / name).mkdir()
        (home / name / "token").write_text(word)
    with serving(api) as address:
        (home / "local" / "session_port.log").write_text(address.rpartition(":")[2].partition("/")[0])
        given = {
            "namespaces": {"input": space, "output": space},
            "registries": {
                name: {
                    "data_store": f"{home / name}/data/",
                    "directory": str(home / name),
                    "token": str(home / name / "token"),
                    "uri": place,
                }
                for name, place in {"local": address, "origin": remote}.items()
            },
            "user": {
                "email": "r@example.org", "family_name": "R", "given_names": "R", "orcid": None, "uri": None,
                "uuid": "2ddb2358-84bf-43ff-b2aa-3ac7dc3b49f1", "remote_user": "admin",
            },
            "git": {
                "local_repo": str(project), "remote": "origin", "remote_repo": "https://github.com/group/model.git",
            },
        }  # fmt: skip
        (home / "using.yaml").write_text(yaml.safe_dump(given))
        made = Session(program, project, home)
        made.run("init", "--using", str(home / "using.yaml"), "--registry", str(home / "local"))
        yield made
