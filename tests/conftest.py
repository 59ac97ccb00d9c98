"""Real servers for tests: two that speak S3, and PostgreSQL; each started once a process, when first asked for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from multiblast.database import Database
from multiblast.stores.s3 import S3Store, connect

settings.register_profile("quick", max_examples=20)  # for `make check`

_START_S = 60
_BUCKET = "multiblast-tests"


class _ByServer(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Gives a file of tests to one process, and all files of tests of the one live server to the same."""

    def _split_scope(self, nodeid: str) -> str:
        path = str(super()._split_scope(nodeid))
        return "live" if path.endswith("_live.py") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByServer:
    """Say which process runs which tests."""
    return _ByServer(config, log)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses PostgreSQL, so that it can be left out where there is none."""
    for item in items:
        if "live" in getattr(item, "fixturenames", ()) and not item.path.name.endswith("_live.py"):
            raise pytest.UsageError(f"{item.path.name} uses the live server: end its name in _live.py")
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        used = {*getattr(item, "fixturenames", ()), *map(str, parameters)}
        if used & {"postgres_server", "postgres_url", "postgres", "postgresql"}:
            item.add_marker(pytest.mark.postgresql)


@dataclass(frozen=True)
class S3Server:
    """A running server and the credentials it takes."""

    endpoint: str
    access_key: str = "multiblast-tests"
    secret_key: str = "not-secret-at-all"  # noqa: S105 - of a server that lives as long as the tests
    opened: list[Any] = field(default_factory=list, repr=False)

    def session(self) -> boto3.session.Session:
        return boto3.session.Session(self.access_key, self.secret_key, region_name="us-east-1")

    def client(self, endpoint: str = "", **config: Any) -> Any:
        """Make a client, which is closed when the server ends."""
        self.opened.append(connect(self.session(), Config(**config), endpoint_url=endpoint or self.endpoint))
        return self.opened[-1]

    def store(self, prefix: str = "") -> S3Store:
        """Make a store of its own; in one bucket, because SeaweedFS takes a second for each new one."""
        return S3Store(self._own_client, _BUCKET, prefix or f"tests/{uuid4().hex}")

    def close(self) -> None:
        for client in self.opened:
            client.close()

    @cached_property
    def _own_client(self) -> Any:
        return self.client()


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Rclone's S3 server over a directory."""
    [port], directory = free_ports(1), tmp_path_factory.mktemp("rclone")
    server = S3Server(f"http://127.0.0.1:{port}")
    command = [_program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off"]
    command += ["--config", os.devnull, "--auth-key", f"{server.access_key},{server.secret_key}", str(directory)]
    with _running(command, directory.with_suffix(".log"), lambda: _answers(server)):
        yield server
    server.close()


@pytest.fixture(scope="session")
def fair_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The S3 server that a FAIR registry keeps its files in, and the directory that is its bucket."""
    [port], directory = free_ports(1), tmp_path_factory.mktemp("fair-s3")
    (directory / "fair").mkdir()
    server = S3Server(f"http://127.0.0.1:{port}", "key", "secret")
    command = [_program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", os.devnull]
    command += ["--auth-key", f"{server.access_key},{server.secret_key}", str(directory)]
    with _running(command, directory.with_suffix(".log"), lambda: server.client().list_buckets()):
        yield server.endpoint, directory / "fair"


@pytest.fixture(scope="session")
def fair_server(fair_s3: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A FAIR data registry for tests, a process of its own: its address and its token."""
    directory, token = tmp_path_factory.mktemp("fair"), "01234567" * 5
    program = Path(__file__).parent / "integration" / "registry" / "registry_server.py"
    port_file = directory / "port"
    command = [sys.executable, str(program), str(port_file), fair_s3[0], token]
    with _running(command, directory / "log", port_file.read_text):
        yield f"http://127.0.0.1:{port_file.read_text()}", token


@pytest.fixture(scope="session")
def weed_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS' S3 server."""
    directory = tmp_path_factory.mktemp("weed")
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[0]}")
    keys = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    config = directory / "s3.json"
    identity = {"name": "tests", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    config.write_text(json.dumps({"identities": [identity]}))
    names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc"]
    names += ["volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    command = [_program("weed"), "-logtostderr", "server", f"-dir={directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    command += ["-s3", f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    command += [f"-s3.localSocket={directory}/s3.sock", f"-filer.localSocket={directory}/filer.sock"]
    command += ["-filer", "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=100"]
    with _running(command, directory / "log", lambda: _answers(server)):
        yield server
    server.close()
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108 - where it puts them, always
            left.unlink()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of its first database."""
    with TemporaryDirectory() as directory:  # pytest's own are closed to other users
        log = tmp_path_factory.mktemp("postgres") / "log"
        with _postgres(Path(directory), log) as url:
            yield url


@contextmanager
def _postgres(directory: Path, log: Path) -> Iterator[str]:
    programs, port, data = _postgres_programs(), free_ports(1)[0], directory / "data"
    start: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        start = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(directory, "postgres")
    initdb = [
        *start,
        str(programs / "initdb"),
        "--no-sync",
        "-A",
        "trust",
        "-U",
        "tests",
        "-E",
        "UTF8",
        "-D",
        str(data),
    ]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    command = [*start, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1"]
    command += ["-F", "-c", "max_connections=200"]
    url = f"postgresql://tests@127.0.0.1:{port}/postgres"
    with _running(command, log, lambda: psycopg.connect(url).close(), signal.SIGINT):
        yield url


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str) -> str:
    """The name of a database with our schema, to be copied."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    database = Database(_sqlalchemy_url(postgres_server, "migrated"))
    _ = database.engine
    database.close()
    return "migrated"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with our schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite"
    database = Database(f"sqlite:///{path}")
    _ = database.engine
    database.close()
    return path


@pytest.fixture
def postgres_url(postgres_server: str, _postgres_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of this test's own, with our schema."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_postgres_template}")
        yield _sqlalchemy_url(postgres_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """The URL of an SQLite database of this test's own, with our schema."""
    path = tmp_path / "jobs.sqlite"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty job database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty job database, once of each kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened to a moment ago."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def _running(
    command: list[str], log: Path, ready: Callable[[], object], stop: signal.Signals = signal.SIGKILL
) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd="/")
    try:
        deadline = time.monotonic() + _START_S
        while not _succeeds(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} does not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _succeeds(action: Callable[[], object]) -> bool:
    with suppress(OSError, psycopg.OperationalError, BotoCoreError, ClientError):
        action()
        return True
    return False


def _answers(server: S3Server) -> None:
    client = server.client(retries={"total_max_attempts": 1})
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=_BUCKET)
    client.put_object(Bucket=_BUCKET, Key="ready", Body=b"1")


def _program(name: str) -> str:
    """Return a program that came with a package of the environment, or is on the path."""
    own = Path(sys.executable).with_name(name)
    return str(own) if own.exists() else name


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        pytest.fail("these tests need PostgreSQL: install it (on Debian: apt-get install postgresql)")
    return places[-1]


def _sqlalchemy_url(server: str, name: str) -> str:
    return server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + f"/{name}"
