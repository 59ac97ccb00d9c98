"""What all tests share: a browser; servers that speak S3, and PostgreSQL, started once a process when asked for."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright
from xdist.scheduler import LoadFileScheduling

from deployments.own_servers import WEED_PORTS, postgres_command, remove_sockets, weed_command
from multiblast.database import Database
from tests.support.servers import S3Server, free_ports, rclone_command, running

# Tests of theirs are elsewhere.
pytest.register_assert_rewrite("tests.support.action_model", "tests.support.store_contract")

# What a shell starts in the background passes Ctrl-C over, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_CHROMIUM += ["--disable-component-update", "--disable-sync"]

# A busy machine is not a fault of the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
settings.register_profile("quick", max_examples=20)  # for `make check`
settings.register_profile("hostile")  # for `make hostile`


class _ByServer(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Gives a file of tests to one process, and all files of tests that share a server to the same."""

    def _split_scope(self, nodeid: str) -> str:
        path = str(super()._split_scope(nodeid))
        return next((server for server in ("live", "ways") if path.endswith(f"_{server}.py")), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByServer:
    """Say which process runs which tests."""
    return _ByServer(config, log)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses PostgreSQL, so that it can be left out where there is none; give long tests more time."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.timeout(3600))
        if "live" in getattr(item, "fixturenames", ()) and not item.path.name.endswith("_live.py"):
            raise pytest.UsageError(f"{item.path.name} uses the live server: end its name in _live.py")
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        used = {*getattr(item, "fixturenames", ()), *map(str, parameters)}
        if used & {"postgres_server", "postgres_url", "postgres", "postgresql"}:
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; for a file of tests, since Playwright keeps an event loop running as long as it is used."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_CHROMIUM)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Rclone's S3 server over a directory."""
    directory = tmp_path_factory.mktemp("rclone")
    [port] = free_ports(1)
    server = S3Server(f"http://127.0.0.1:{port}")
    command = rclone_command(directory, port, server.access_key, server.secret_key)
    with running(command, directory.with_suffix(".log"), server.make_bucket):
        yield server
    server.close()


@pytest.fixture(scope="session")
def fair_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The S3 server that a FAIR registry keeps its files in, and the directory that is its bucket."""
    [port], directory = free_ports(1), tmp_path_factory.mktemp("fair-s3")
    (directory / "fair").mkdir()
    server = S3Server(f"http://127.0.0.1:{port}", "key", "secret")
    command = rclone_command(directory, port, server.access_key, server.secret_key)
    with running(command, directory.with_suffix(".log"), lambda: server.client().list_buckets()):
        yield server.endpoint, directory / "fair"


@pytest.fixture(scope="session")
def fair_server(fair_s3: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A FAIR data registry for tests, a process of its own: its address and its token."""
    directory, token = tmp_path_factory.mktemp("fair"), "01234567" * 5
    program = Path(__file__).parent / "integration" / "registry" / "registry_server.py"
    port_file = directory / "port"
    command = [sys.executable, str(program), str(port_file), fair_s3[0], token]
    with running(command, directory / "log", port_file.read_text):
        yield f"http://127.0.0.1:{port_file.read_text()}", token


@pytest.fixture(scope="session")
def weed_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS' S3 server."""
    directory, ports = tmp_path_factory.mktemp("weed"), free_ports(len(WEED_PORTS))
    server = S3Server(f"http://127.0.0.1:{ports[0]}")
    command = weed_command(directory, "127.0.0.1", ports, server.access_key, server.secret_key)
    with running(command, directory / "log", server.make_bucket):
        yield server
    server.close()
    remove_sockets(ports)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of its first database."""
    [port], directory = free_ports(1), tmp_path_factory.mktemp("postgres")
    command = postgres_command(directory / "data", "127.0.0.1", port, "tests")
    url = f"postgresql://tests@127.0.0.1:{port}/postgres"
    with running(command, directory / "log", lambda: psycopg.connect(url).close(), signal.SIGINT):
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


def _sqlalchemy_url(server: str, name: str) -> str:
    return server.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + f"/{name}"
