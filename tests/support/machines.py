"""Another machine, as far as its processes can tell: a network, a name and a disk of its own."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.installation import Installation
from tests.support.places import ROOT
from tests.support.processes import unset_environment

__all__ = ["SecondHost", "network_of_its_own"]


@contextmanager
def network_of_its_own() -> Iterator[tuple[str, str]]:
    """Give an address of this machine, and a name space whose network reaches only it; without root, none."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        yield "127.0.0.1", ""
        return
    name, here = f"mb{os.getpid()}", f"10.{random.randrange(100, 200)}.{random.randrange(250)}"
    commands = [
        f"netns add {name}",
        f"link add {name}a type veth peer name {name}b netns {name}",
        f"addr add {here}.1/30 dev {name}a",
        f"link set {name}a up",
        f"-n {name} addr add {here}.2/30 dev {name}b",
        f"-n {name} link set {name}b up",
        f"-n {name} link set lo up",
    ]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        yield f"{here}.1", name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


class SecondHost:
    """A machine with a network, a name and a disk of its own, as far as its processes can tell."""

    def __init__(self, installation: Installation, namespace: str, home: Path) -> None:
        self.home, self._hidden, self._namespace = home, installation.home, namespace
        own = {"HOME": str(home), "MULTIBLAST_HOME": str(home / "data"), "PREFECT_API_URL": f"{installation.url}/api"}
        login = {"PREFECT_API_AUTH_STRING": installation.password} if installation.password else {}
        self.environment = unset_environment() | own | login

    def popen(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a command there; it finds nothing where the first host has its home."""
        there = f"hostname second && mount -t tmpfs none {self._hidden} && exec {shlex.join(map(str, command))}"
        isolated = ["ip", "netns", "exec", self._namespace, "unshare", "--mount", "--uts", "sh", "-c", there]
        return subprocess.Popen(isolated, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE)

    def run(self, *command: str | Path) -> str:
        """Run a command there to its end, which must be a good one; return what it prints."""
        with self.popen(*command) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output.decode()
