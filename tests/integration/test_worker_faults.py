"""A worker whose disk is full, or whose clock is off: what it says, and what is left."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from multiblast.accounts import Requester
from multiblast.database import Database, utc_now
from multiblast.results import Results
from multiblast.search import read_submission
from multiblast.services import Services
from multiblast.stores import MemoryStore
from tests.support.places import EXAMPLES, ROOT

QUERY = EXAMPLES / "protein_query.fasta"
_SEARCH = """
import sys
from contextlib import suppress
from pathlib import Path
from multiblast.database import Database
from multiblast.errors import MultiblastError
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
database, store, targets, job = sys.argv[1:]
services = Services(Database(database), LocalStore(store), Installation(cores=1), Targets(Path(targets)), QueryLimits())
with suppress(MultiblastError):
    services.queries.run(job).execute()
"""


@pytest.fixture
def job(services: Services) -> str:
    """A job that waits."""
    submission = read_submission(query_file=QUERY, targets=["demo/examples/proteins"])
    return services.queries.submit(Requester(administrator=True), submission).job_id


def run_with_small_disk(
    services: Services, targets_root: Path, job: str, place: Path, size: str = "64k", **more: str
) -> None:
    """Run a job in a process that has little space at a place, in a name space of its own."""
    place.mkdir(parents=True, exist_ok=True)
    store = services.store.root  # type: ignore[attr-defined]  # it is local
    command = [sys.executable, "-c", _SEARCH, services.database.url, str(store), str(targets_root), job]
    mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(place))} && exec {shlex.join(command)}"
    subprocess.run(["unshare", "-rm", "sh", "-c", mount], cwd=ROOT, env=os.environ | more, check=True)


@pytest.mark.parametrize(("size", "who"), [("64k", ""), ("300k", "blastp failed, output could not be written")])
def test_disk_full_where_we_and_programs_write_fails_the_job_plainly(  # noqa: PLR0913, PLR0917 - a place, and a size
    services: Services, targets_root: Path, job: str, tmp_path: Path, size: str, who: str
) -> None:
    run_with_small_disk(services, targets_root, job, tmp_path / "tmp", size, TMPDIR=str(tmp_path / "tmp"))
    state = services.queries.searched_job(job)
    assert state.status == "failed"
    assert state.reason.startswith(who)
    assert "no space left" in state.reason
    assert "free some, or set TMPDIR to a larger disk" in state.reason


def test_disk_full_where_results_are_kept_fails_the_job_plainly(
    services: Services, targets_root: Path, job: str
) -> None:
    packs = services.store.root / ".incoming"  # type: ignore[attr-defined]  # it is local
    run_with_small_disk(services, targets_root, job, packs)
    state = services.queries.searched_job(job)
    assert state.status == "failed"
    assert "No space left on device; free some space, or move the store to a larger disk" in state.reason
    assert services.queries.run(job).execute().status == "complete"


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
def test_worker_whose_clock_is_off_respects_leases_of_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, off: timedelta
) -> None:
    """The database's clock counts, not those of the workers."""
    database, keys = Database(postgres_url), ["a" * 32, "b" * 32]
    results = Results(database, MemoryStore())
    with monkeypatch.context() as patch:
        patch.setattr("multiblast.database.statements.utc_now", lambda: utc_now() + off)
        assert results.claim(keys[:1], "elsewhere-1-1-x").mine == {keys[0]}
    claim = results.claim(keys, "elsewhere-2-2-x")
    assert claim.mine == {keys[1]}
    with monkeypatch.context() as patch:
        patch.setattr("multiblast.database.statements.utc_now", lambda: utc_now() + off)
        assert results.claim(keys, "elsewhere-3-3-x").mine == set()
    database.close()


def test_expiry_by_a_clock_that_is_an_hour_ahead_takes_nothing_that_is_used(
    services: Services, search_whole: Callable[..., Any]
) -> None:
    job = search_whole(services, ">one\nMKVLAAGIVGLCAKAYWQ\n", user="ann").job_id
    ahead = utc_now() + timedelta(hours=1)
    assert services.expiry.run(ahead).query_jobs == []
    services.storage_upkeep.sweep(ahead)
    assert services.storage_upkeep.verify().is_nothing
    assert services.queries.searched_job(job).status == "complete"
