"""Both ends of a transfer are killed again and again: it goes on where it was, and needs no memory for its size."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multiblast.services import Services
from tests.support.gateway import GatewayProcess, Wire, granted
from tests.support.places import ROOT

PIECE = 16 << 20
MOST_MEMORY = 150 << 20
_CLIENT = """
import shutil, sys
from multiblast.stores.http import HttpStore
url, token, verb, path = sys.argv[1:]
store = HttpStore(url, lambda _afresh: token, patience_s=60)
if verb == "push":
    with open(path, "rb") as file:
        store.put("a/out", file)
else:
    with store.open("a/out") as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
"""


@pytest.fixture
def gateway(services: Services, tmp_path: Path) -> Iterator[GatewayProcess]:
    _ = services.database.engine
    process = GatewayProcess(services, tmp_path / "spool")
    with process.running():
        yield process


def made(path: Path, size: int) -> str:
    """Write a file of random bytes; return its SHA-256."""
    chance, found = random.Random(17), hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size >> 20):
            piece = chance.randbytes(1 << 20)
            found.update(piece)
            file.write(piece)
    return found.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Client:
    """A client in a process of its own."""

    def __init__(self, *words: str) -> None:
        self._command = [sys.executable, "-c", _CLIENT, *words]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.PIPE)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> None:
        _, problem = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, problem.decode()


class Memory:
    """The most that processes had resident at once, each, as Linux counts it."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}

    def look(self, **processes: int) -> None:
        for name, number in processes.items():
            try:
                lines = Path(f"/proc/{number}/status").read_text().splitlines()
            except (FileNotFoundError, ProcessLookupError):
                continue
            peak = next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)
            self.peaks[name] = max(self.peaks.get(name, 0), peak)


def interrupted(
    gateway: GatewayProcess,
    client: Client,
    travelled: Callable[[], int],
    kills: list[tuple[int, str]],
    memory: Memory,
) -> None:
    """Kill one end each time that so many bytes have travelled, and start it again; wait for the client's end."""
    chance = random.Random(16)
    for at, who in kills:
        while travelled() < at and not client.has_ended:
            memory.look(gateway=gateway.seen.pid, client=client.process.pid)
            time.sleep(0.01)
        time.sleep(chance.random() * 0.05)
        assert not client.has_ended, "it ended before it was killed"
        end = gateway if who == "gateway" else client
        end.kill()
        end.start()
    while not client.has_ended:
        memory.look(gateway=gateway.seen.pid, client=client.process.pid)
        time.sleep(0.01)
    client.finish()


@pytest.mark.parametrize(
    ("size", "kills"),
    [
        pytest.param(64 << 20, 3, id="64 MB"),
        pytest.param(2 << 30, 40, id="2 GB", marks=pytest.mark.long),
    ],
)
def test_push_survives_the_death_of_either_end(
    services: Services, gateway: GatewayProcess, tmp_path: Path, size: int, kills: int
) -> None:
    source, chance, memory = tmp_path / "source", random.Random(size), Memory()
    sha256 = made(source, size)
    token = granted(services, writes=["a/"], lasts_s=3600)
    with closing(Wire(gateway.port)) as wire:
        before = gateway.seen.memory_info().rss
        points = sorted(chance.randrange(size) for _ in range(kills))
        points[-1] = size  # all has been sent: it is being kept
        whom = [("gateway", "client")[number % 2] for number in range(kills)]
        client = Client(wire.url, token, "push", str(source))
        interrupted(gateway, client, lambda: wire.sent, list(zip(points, reversed(whom), strict=True)), memory)
        twice = wire.sent - size
    [kept] = services.store.list()
    assert (kept.key, kept.size_bytes, services.store.sha256("a/out")) == ("a/out", size, sha256)
    assert twice < kills * PIECE + (size // PIECE + 10 * kills) * 2048, "more than a piece was sent twice"
    assert max(memory.peaks.values()) < MOST_MEMORY, memory.peaks
    assert memory.peaks["gateway"] - before < 4 * PIECE
    assert not any((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("size", "kills"),
    [
        pytest.param(64 << 20, 1, id="64 MB"),
        pytest.param(2 << 30, 10, id="2 GB", marks=pytest.mark.long),
    ],
)
def test_fetch_survives_the_death_of_the_gateway(
    services: Services, gateway: GatewayProcess, tmp_path: Path, size: int, kills: int
) -> None:
    source, target, chance, memory = tmp_path / "source", tmp_path / "target", random.Random(size), Memory()
    sha256 = made(source, size)
    with source.open("rb") as file:
        services.store.put("a/out", file)
    token = granted(services, reads=["a/"], lasts_s=3600)
    with closing(Wire(gateway.port)) as wire:
        points = sorted(chance.randrange(size * 3 // 4) for _ in range(kills))
        client = Client(wire.url, token, "fetch", str(target))
        interrupted(gateway, client, lambda: wire.received, [(point, "gateway") for point in points], memory)
        twice = wire.received - size
    assert digest_of(target) == sha256
    assert twice < kills * PIECE
    assert max(memory.peaks.values()) < MOST_MEMORY, memory.peaks
