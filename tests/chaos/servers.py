"""Servers and workers that can be killed at any moment and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import boto3
import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from deployments.own_servers import postgres_command
from multiblast.stores.s3 import S3Store, connect
from tests.support.servers import free_ports, rclone_command

__all__ = ["BUCKET", "ROOT", "S3", "PostgreSQL", "Process"]

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "chaos"
_KEYS = ("chaos-tests", "not-secret-at-all")
_START_S = 120


class Process:
    """A process with all it started, in a session of its own.

    Args:
        name: What it is; its log is called so.
        command: How to start it.
        directory: Where its log is.
        environment: Its variables.
        ready: Returns without an error once it is of use.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path,
        environment: Mapping[str, str] | None = None,
        ready: Callable[[], object] = lambda: True,
    ) -> None:
        self.name, self._command, self._ready = name, command, ready
        self._log, self._environment = directory / f"{name}.log", environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=ROOT, env=self._environment, start_new_session=True
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._ready()
            except (OSError, psycopg.Error, BotoCoreError, ClientError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{self.name} does not start:\n{self._log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """Kill -9 it and all it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self, limit_s: float) -> float:
        """Ask it to end, as a service manager does; return how long it took, in seconds, and kill what is left.

        Raises:
            AssertionError: it did not end in time.
        """
        assert self._process
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{self.name} did not end within {limit_s} s of SIGTERM") from error
        finally:
            self.kill()
        return time.monotonic() - started


class PostgreSQL(Process):
    """A PostgreSQL server whose databases survive it."""

    def __init__(self, directory: Path) -> None:
        [port] = free_ports(1)
        self._server = f"tests@127.0.0.1:{port}"
        command = postgres_command(directory / "postgres", "127.0.0.1", port, "tests")
        super().__init__("postgresql", command, directory, ready=self._connect)

    def url(self, database: str, driver: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+{driver}://{self._server}/{database}"

    def create(self, database: str) -> None:
        """Make a database."""
        with psycopg.connect(f"postgresql://{self._server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")  # type: ignore[call-overload]  # psycopg wants a literal

    def _connect(self) -> None:
        psycopg.connect(f"postgresql://{self._server}/postgres").close()


class S3(Process):
    """Rclone's S3 server over a directory that survives it."""

    def __init__(self, directory: Path) -> None:
        [port], data = free_ports(1), directory / "s3"
        (data / BUCKET).mkdir(parents=True)
        self.endpoint, self.keys = f"http://127.0.0.1:{port}", _KEYS
        command = rclone_command(data, port, *_KEYS)
        super().__init__("s3", command, directory, ready=self._ask)

    def store(self) -> S3Store:
        """Return a store in its bucket."""
        session = boto3.session.Session(*_KEYS, region_name="us-east-1")
        return S3Store(connect(session, endpoint_url=self.endpoint), BUCKET)

    def _ask(self) -> None:
        host, port = self.endpoint.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=1).close()
