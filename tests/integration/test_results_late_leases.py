"""Leases whose holder could not renew or give them back in time: on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from multiblast.database import Database
from multiblast.results import Claim, Results
from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.results import expire_leases, keys_of, leases


@pytest.fixture
def elsewhere(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Another process of this machine, which has claimed all keys, and whose leases have run out.

    So they have after the machine was suspended, its clock set forward, or its job database locked for a minute.
    """
    code = f"""
import time
from multiblast.database import Database
from multiblast.results import Results, new_holder
from multiblast.stores import MemoryStore
print(len(Results(Database({database.url!r}), MemoryStore()).claim({keys_of(2)!r}, new_holder()).mine), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "2\n"
        expire_leases(database, *set(leases(database).values()))
        yield process
        process.kill()


def test_lease_of_a_process_that_is_at_work_here_is_not_taken_over_if_it_is_late(
    results: Results, elsewhere: subprocess.Popen[str]
) -> None:
    assert results.claim(keys_of(3), "me") == Claim(mine=frozenset(keys_of(3)[2:]), others=frozenset(keys_of(2)))
    elsewhere.kill()
    elsewhere.wait()
    assert results.claim(keys_of(2), "me").mine == frozenset(keys_of(2))


def test_late_lease_of_a_process_that_is_stopped_is_taken_over(
    results: Results, elsewhere: subprocess.Popen[str]
) -> None:
    elsewhere.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, elsewhere.pid, os.WSTOPPED | os.WNOWAIT)
    assert results.claim(keys_of(2), "me").mine == frozenset(keys_of(2))


def test_lease_that_cannot_be_given_back_is_given_back_later(
    results: Results, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multiblast.database.lease_renewal.HEARTBEAT_S", 0.05)
    release, failures = Results.release, iter([OperationalError("DELETE", {}, Exception("server closed"))] * 3)

    def failing(self: Results, holder: str) -> None:
        if error := next(failures, None):
            raise error
        release(self, holder)

    monkeypatch.setattr(Results, "release", failing)
    with results.keep_leases_alive("me"):
        results.claim(keys_of(1), "me")
    wait_for(lambda: not leases(database))


_FULL = """
import os, sys, time
from datetime import timedelta
from sqlmodel import select
from multiblast.database import Database, Lease, lease_renewal, utc_now
from multiblast.results import Results
from multiblast.stores import MemoryStore
lease_renewal.HEARTBEAT_S = 0.2
place, key = sys.argv[1:]
database = Database(f"sqlite:///{place}/jobs.sqlite")
results = Results(database, MemoryStore())
with results.keep_leases_alive("me"):
    results.claim([key], "me")
    with open(f"{place}/others", "wb", buffering=0) as others:
        try:
            while True:
                others.write(bytes(4096))
        except OSError:
            pass
    time.sleep(3)
    os.remove(f"{place}/others")
    since = utc_now()
    time.sleep(2)
    with database.read() as session:
        assert session.exec(select(Lease.expires_at)).one() > since + timedelta(seconds=60), "it is not renewed"
"""


def test_lease_is_renewed_after_the_disk_of_the_job_database_was_full(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=4m none {shlex.quote(str(tmp_path))}"
    command = shlex.join([sys.executable, "-c", _FULL, str(tmp_path), keys_of(1)[0]])
    subprocess.run(["unshare", "-rm", "sh", "-c", f"{mount} && exec {command}"], cwd=ROOT, check=True)
