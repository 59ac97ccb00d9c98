"""Servers for tests: to start them, to wait until they answer, and to talk to those that speak S3."""

from __future__ import annotations

import os
import random
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
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from multiblast.stores.s3 import S3Store, connect

__all__ = ["S3Server", "free_ports", "free_stack_port", "rclone_command", "running"]

_START_S = 60
_BUCKET = "multiblast-tests"


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

    def make_bucket(self) -> None:
        """Make the bucket of `store`, and write into it: that can take a moment longer."""
        client = self.client(retries={"total_max_attempts": 1})
        with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=_BUCKET)
        client.put_object(Bucket=_BUCKET, Key="ready", Body=b"1")

    @cached_property
    def _own_client(self) -> Any:
        return self.client()


def rclone_command(directory: Path, port: int, key: str, secret: str) -> list[str]:
    """Return what runs rclone's S3 server, the one that came with the environment, over a directory."""
    own = Path(sys.executable).with_name("rclone")
    command = [str(own) if own.exists() else "rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--vfs-cache-mode", "off", "--config", os.devnull]
    return [*command, "--auth-key", f"{key},{secret}", str(directory)]


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listened to a moment ago."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_stack_port(host: str = "127.0.0.1") -> int:
    """Return a port for ``make up`` with nobody on it or on those of the other servers, which follow it.

    None of them is one that an outgoing connection could take before it is used.
    """
    while True:
        first = random.randrange(20_000, 30_000)
        with ExitStack() as stack, suppress(OSError):
            for port in (first, first + 1, *range(first + 10, first + 20)):
                stack.enter_context(socket.socket()).bind((host, port))
            return first


@contextmanager
def running(
    command: list[str], log: Path, ready: Callable[[], object], stop: signal.Signals = signal.SIGKILL
) -> Iterator[None]:
    """Run a server until the end of the block, which begins when ``ready`` raises nothing."""
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
