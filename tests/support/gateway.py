"""A gateway for tests: the HTTP service with it, in this process or one of its own, and grants."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import FileIO
from pathlib import Path
from socket import create_connection, create_server, socket
from tempfile import TemporaryFile
from typing import IO, Any

import httpx
import psutil

from multiblast.gateway import grant_of
from multiblast.services import Services
from multiblast.settings import GatewayRules
from multiblast.stores import LocalStore
from multiblast.stores.gateway_client import Grant
from multiblast.stores.http import HttpStore
from tests.support.http_service import HereStarter, serving
from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.servers import free_ports

MIB = 1 << 20
PIECE = 16 * MIB
"""What an upload is sent in."""

_SERVE = """
import json, socket, sys
from pathlib import Path
from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import GatewayRules, Policy, QueryLimits
from multiblast.stores import open_store
from multiblast.targets import Targets
from tests.support.http_service import HereStarter
from web.application import make_application
from web.server import make_server
database, store, targets, spool, port, rules = sys.argv[1:]
policy = Policy(gateway=GatewayRules(enabled=True, **json.loads(rules)))
places = Database(database), open_store(store), Installation(), Targets(Path(targets))
services = Services(*places, QueryLimits(), policy)
services.gateway.spool = Path(spool)
listener = socket.create_server(("127.0.0.1", int(port)), backlog=100)
make_server(make_application(services, HereStarter(services))).run(sockets=[listener])
"""


@contextmanager
def gateway(services: Services, port: int = 0, **rules: Any) -> Iterator[str]:
    """Serve with a gateway until the end of the block; give the gateway's address."""
    assert isinstance(services.store, LocalStore)
    services.gateway.spool = services.store.root.with_name("gateway")
    allowed = GatewayRules(enabled=True, **rules)
    services.policy = services.policy.model_copy(update={"gateway": allowed})
    with serving(services, HereStarter(services), port=port) as address:
        yield f"{address}/gateway"


def granted(services: Services, *, lasts_s: float = 600, **what: Any) -> str:
    """Return a grant as a token."""
    ticket = services.gateway.tickets.make(**{"site": "", "max_bytes": 1 << 40, "lasts": timedelta(hours=1), **what})
    return services.gateway.keys.sign(grant_of(ticket, lasts_s))


@dataclass
class GatewayProcess:
    """A gateway in a process of its own, which may be killed and started again at the same address.

    Attributes:
        store: Its URL, by default that of the services' local store.
        before: A command of the shell that is run first, in a name space of its own, such as one that mounts a disk.
    """

    services: Services
    spool: Path
    store: str = ""
    before: str = ""
    rules: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    log: IO[bytes] = field(default_factory=TemporaryFile)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/gateway"

    @property
    def seen(self) -> psutil.Process:
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def start(self) -> None:
        store = self.store or f"file://{self.services.store.root}"  # type: ignore[attr-defined]  # it is local
        places = [self.services.database.url, store, str(self.services.targets.root), str(self.spool)]
        facts = [*places, str(self.port), json.dumps(self.rules)]
        command = [sys.executable, "-c", _SERVE, *facts]
        if self.before:
            command = ["unshare", "-rm", "sh", "-c", f"{self.before} && exec {shlex.join(command)}"]
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=self.log)
        wait_for(self._answers, 60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._said()
        try:
            return httpx.get(f"{self.url}/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _said(self) -> bytes:
        self.log.seek(0)
        return self.log.read()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run it, unless it does already, until the end of the block; give its address."""
        self.start()
        try:
            yield self.url
        finally:
            self.kill()
            self.log.close()


class Wire:
    """A wire to a port of this machine, on which all that travels is counted.

    Attributes:
        sent, received: Bytes, as who asks sees them.
        is_cut: Whether it is cut, so that nobody is reached.
    """

    def __init__(self, port: int) -> None:
        self.sent = self.received = 0
        self.is_cut = False
        self._port, self._listener, self._open = port, create_server(("127.0.0.1", 0), backlog=100), set[socket]()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/gateway"

    def cut(self) -> None:
        """Break all connections, and let no more be made until `is_cut` is changed."""
        self.is_cut = True
        for one in list(self._open):
            _close(one)

    def close(self) -> None:
        """Take it away."""
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = create_connection(("127.0.0.1", self._port)) if not self.is_cut else None
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            self._open |= {near, far}
            threading.Thread(target=self._carry, args=[near, far, "sent"], daemon=True).start()
            threading.Thread(target=self._carry, args=[far, near, "received"], daemon=True).start()

    def _carry(self, source: socket, target: socket, which: str) -> None:
        try:
            while data := source.recv(256 << 10):
                setattr(self, which, getattr(self, which) + len(data))
                target.sendall(data)
        except OSError:  # one end is gone
            pass
        for one in (source, target):
            _close(one)
            self._open.discard(one)


def _close(one: socket) -> None:
    with suppress(OSError):
        one.shutdown(2)
    one.close()


@contextmanager
def stores_of(url: str) -> Iterator[Callable[[str | Grant], HttpStore]]:
    """Give what makes the store of a grant at a gateway; they are closed afterwards."""
    with ExitStack() as opened:

        def make(grant: str | Grant) -> HttpStore:
            store = HttpStore(url, (lambda _afresh: grant) if isinstance(grant, str) else grant)
            return opened.enter_context(closing(store))

        yield make


class SlowFile(FileIO):
    """A file of which each piece is asked for at leisure: something may happen before."""

    def __init__(self, path: Path, before: Callable[[int], None]) -> None:
        super().__init__(path)
        self._before, self._begun = before, set[int]()

    def read(self, size: int | None = -1) -> bytes:
        """Read a piece."""
        at = self.tell()
        if at % PIECE == 0 and at not in self._begun:
            self._begun.add(at)
            self._before(at)
        return super().read(-1 if size is None else size) or b""


def visible(services: Services) -> set[str]:
    """Return the keys of what a client has put below ``a/out``."""
    return {found.key for found in services.store.list("a/out")}
