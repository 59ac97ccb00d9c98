"""Whatever breaks is said plainly, and the rest is unharmed."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.model.rows import DataProductRow, KeywordRow, ObjectComponentRow, ObjectRow
from multiblast.registry.remotes.connection import RetryPolicy
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.sync.commands import pull, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.status import status, verify
from tests.support.places import ROOT

READ_ALL = "read:\n- {data_product: 'params/*', use: {namespace: rich}}\n"
REQUESTS_OF_A_PULL, REQUESTS_OF_A_PUSH = 40, 150
KILLS = 20 if os.environ.get("MULTIBLAST_TEST_KILLS") else 1
PULL = """
    report = pull(Path(config), registry, remote, bind(registry, "rich", Path(directory)), at_once=2)
"""
PUSH = """
    report = push(registry, remote, at_once=2)
"""


@pytest.fixture
def filled(here: Any) -> Any:
    for number in range(12):
        one = here.product(f"params/p{number}", f"{number} " * 50_000)
        here.describe(one)
        here.commit("object", one.object_id)
    return here


def kill_after(requests: int, registry: Any, remote: Any, what: str, config: Path) -> None:
    """Begin a transfer in a process of its own, and kill that once it has sent so many requests."""
    code = f"""
    from pathlib import Path
    from multiblast.registry.local.users import bind
    from multiblast.registry.sync.commands import pull, push
    from multiblast.registry.local.registry import Registry, open_database
    from multiblast.registry.remotes.rest import RestRegistry
    from multiblast.stores import LocalStore
    directory, config = {str(registry.directory)!r}, {str(config)!r}
    base = Path(directory)
    registry = Registry(open_database(f"sqlite:///{{base / 'registry.sqlite'}}"), LocalStore(base / "store"), base)
    remote = RestRegistry({remote.url!r}, {remote.token!r})
    """
    text = textwrap.dedent(code) + textwrap.dedent(what)
    remote.control(forget=True, stop_after=requests)
    with subprocess.Popen([sys.executable, "-c", text], cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        while not remote.control()["stopped"] and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it had ended before"
    remote.control(stop_after=0)


def whole(registry: Any) -> None:
    """Nothing half: each object has its whole, each product its file, and every digest is right."""
    objects = registry.since(ObjectRow, 0)
    assert len([r for r in registry.since(ObjectComponentRow, 0) if r.whole_object]) == len(objects)
    assert verify(registry).exit_code == 0
    assert status(registry).exit_code == 0


@pytest.mark.parametrize("number", range(KILLS))
def test_registry_killed_pull_goes_on(
    filled: Any, second: Any, remote: Any, config: Callable[[str], Path], number: int
) -> None:
    assert push(filled, remote.open()).exit_code == 0
    path = config(READ_ALL)
    kill_after(random.Random(number).randrange(1, REQUESTS_OF_A_PULL), second, remote, PULL, path)
    assert verify(second).exit_code == 0  # what is there is right already now
    report = pull(path, second, remote.open(), second.user())
    assert (report.exit_code, len(report.outcomes)) == (0, 12)
    whole(second)
    assert len(second.since(KeywordRow, 0)) == len(second.since(DataProductRow, 0)) == 12


@pytest.mark.parametrize("number", range(KILLS))
def test_registry_killed_push_goes_on(filled: Any, remote: Any, config: Callable[[str], Path], number: int) -> None:
    kill_after(random.Random(number).randrange(1, REQUESTS_OF_A_PUSH), filled, remote, PUSH, config(READ_ALL))
    report = push(filled, remote.open())
    assert [(o.result, o.reason) for o in report.outcomes] == [(ItemResult.DONE, "")] * 12
    counts = remote.counts
    assert counts["data_product"] == counts["licence"] == counts["keyword"] == counts["key_value"] == 12
    assert counts["object"] == 24  # with the documents
    assert counts["issue"] == counts["object_component"] - counts["object"] + 12
    for file in remote.bucket.iterdir():
        assert hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest() == file.name


@pytest.mark.parametrize("found", [b"evil", b"content", b"content a and more"], ids=["tampered", "truncated", "longer"])
def test_registry_file_that_is_not_what_it_should_be_is_refused(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path], found: bytes
) -> None:
    for name in "ab":
        here.commit("object", here.product(f"params/{name}", f"content {name}").object_id)
    push(here, remote.open())
    (remote.bucket / here.product("params/a", "content a").sha1).write_bytes(found)
    report = pull(config(READ_ALL), second, remote.open(), second.user())
    assert sorted(o.result for o in report.outcomes) == [ItemResult.DONE, ItemResult.FAILED]
    reason = next(o.reason for o in report.outcomes if o.result == ItemResult.FAILED)
    assert "not the file the registry describes" in reason
    whole(second)


_BROKEN = {
    "500s": ({"status": 500}, "127.0.0.1:PORT failed with 500 2 times; what is done is kept: run it again later"),
    "time-outs": ({"delay_s": 2.0}, "127.0.0.1:PORT did not answer within 1.5 s, 2 times; what is done is kept"),
    "broken connection": ({"drop": True}, "127.0.0.1:PORT broke the connection 2 times"),
    "truncated download": ({"cut": True}, "127.0.0.1:PORT broke the connection 2 times"),
    "clocks of the servers differ": ({"late": True}, "refused the signed link (400): it may have expired, or the"),
}


def patience(fault: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(timeout_s=1.5 if "delay_s" in fault else 30, attempts=2, first_wait_s=0.01)


@pytest.mark.parametrize(("fault", "said"), _BROKEN.values(), ids=_BROKEN)
def test_registry_trouble_with_one_file_is_told_and_the_rest_is_pulled(  # noqa: PLR0913, PLR0917 - a table's columns
    here: Any, second: Any, remote: Any, config: Callable[[str], Path], fault: dict[str, Any], said: str
) -> None:
    for name in "ab":
        here.commit("object", here.product(f"params/{name}", f"content {name}" * 1000).object_id)
    push(here, remote.open())
    remote.fail(f"GET /data/{here.product('params/a', 'content a' * 1000).sha1}", times=99, **fault)
    report = pull(config(READ_ALL), second, remote.open(limits=patience(fault)), second.user())
    assert {o.item[12]: o.result for o in report.outcomes} == {"a": ItemResult.FAILED, "b": ItemResult.DONE}
    reason = next(o.reason for o in report.outcomes if o.result == ItemResult.FAILED)
    assert said.replace("PORT", remote.url.rpartition(":")[2]) in reason
    whole(second)
    remote.control(faults=[])
    assert pull(config(READ_ALL), second, remote.open(), second.user()).exit_code == 0
    whole(second)


@pytest.mark.parametrize("trouble", ["500s", "time-outs", "broken connection"])
def test_registry_trouble_with_one_upload_is_told_and_the_rest_is_pushed(here: Any, remote: Any, trouble: str) -> None:
    fault, said = _BROKEN[trouble]
    for name in "ab":
        here.commit("object", here.product(f"params/{name}", f"content {name}").object_id)
    remote.fail(f"POST /api/data/{here.product('params/a', 'content a').sha1}", times=99, **fault)
    report = push(here, remote.open(limits=patience(fault)))
    assert {o.item[12]: o.result for o in report.outcomes} == {"a": ItemResult.FAILED, "b": ItemResult.DONE}
    assert said.replace("PORT", remote.url.rpartition(":")[2]) in report.outcomes[0].reason
    assert remote.counts["data_product"] == 1
    remote.control(faults=[])
    assert push(here, remote.open()).exit_code == 0
    assert (remote.counts["data_product"], len(list(remote.bucket.iterdir()))) == (2, 2)


def test_registry_server_that_always_fails_is_named(here: Any, remote: Any) -> None:
    here.commit("object", here.product("params/a", "a").object_id)
    remote.fail("POST /api/object/", times=99, status=500)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "failed with 500 3 times" in report.outcomes[0].reason


def test_registry_half_recorded_run_is_told(here: Any, remote: Any) -> None:
    """A server that fails between a run and its lists keeps a run without outputs: that is no success."""
    here.commit("code_run", here.run([], [here.product("params/a", "a")]))
    remote.fail("POST /api/code_run/", times=1, status=500, half=True)
    report = push(here, remote.open())
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "is there without some of its outputs" in report.outcomes[0].reason


def test_registry_refused_token_is_told(here: Any, remote: Any) -> None:
    here.commit("object", here.product("params/a", "a").object_id)
    report = push(here, remote.open(token="f" * 40))
    assert [o.result for o in report.outcomes] == [ItemResult.FAILED]
    assert "refused the token (403)" in report.outcomes[0].reason
    assert "multiblast registry remote" in report.outcomes[0].reason


def test_registry_reading_needs_no_token(here: Any, second: Any, remote: Any, config: Callable[[str], Path]) -> None:
    here.commit("object", here.product("params/a", "a").object_id)
    push(here, remote.open())
    report = pull(config(READ_ALL), second, remote.open("wrong"), second.user())
    assert report.exit_code == 0


def test_registry_clock_skew_is_told_and_harmless(here: Any, remote: Any) -> None:
    here.commit("object", here.product("params/a", "a").object_id)
    remote.control(shift_s=-7200)
    report = push(here, remote.open())
    assert report.exit_code == 0
    assert any("s ahead of that of 127.0.0.1" in note for note in report.notes)


def test_registry_unreachable_server_is_named(second: Any, config: Callable[[str], Path]) -> None:
    from multiblast.errors import StoreError
    from multiblast.registry.remotes.rest import RestRegistry

    end = RestRegistry("http://127.0.0.1:9/", limits=RetryPolicy(attempts=2, first_wait_s=0.01))
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9 cannot be reached"):
        pull(config(READ_ALL), second, end, second.user())
    end.close()


def test_registry_something_that_is_no_registry_is_told(fair_s3: tuple[str, Path]) -> None:
    from multiblast.errors import MultiblastError
    from multiblast.registry.remotes.rest import RestRegistry

    end = RestRegistry(fair_s3[0])
    with pytest.raises(MultiblastError):
        end.products("rich", ["a"])
    end.close()


def test_registry_full_disk_fails_what_does_not_fit_and_no_more(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """The largest file a process may write stands for a disk that is full."""
    here.commit("object", here.product("params/big", bytes(4 << 20)).object_id)
    here.commit("object", here.product("params/small", "small").object_id)
    push(here, remote.open())
    path, end, user = config(READ_ALL), remote.open(), second.user()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, before[1]))
    try:
        report = pull(path, second, end, user)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert {o.item: o.result for o in report.outcomes} == {
        "rich:params/big@1.0.0": ItemResult.FAILED,
        "rich:params/small@1.0.0": ItemResult.DONE,
    }
    assert "cannot write" in next(o.reason for o in report.outcomes if o.result == ItemResult.FAILED)
    assert pull(path, second, remote.open(), user).exit_code == 0
    whole(second)


def test_registry_work_of_a_remote_never_waits_for_its_own_threads() -> None:
    """Rows that are made at once look others up at once: with as many of them as there are threads, too."""
    remote, found = RestRegistry("http://127.0.0.1:9/"), list[list[int]]()
    numbers = range(remote.connection.limits.at_once)
    all_at_work = threading.Barrier(len(numbers))

    def look_up(number: int) -> list[int]:
        all_at_work.wait(30)
        return remote.together(abs, [-number, number])

    def work() -> None:
        found.extend(remote.together(look_up, numbers))

    thread = threading.Thread(target=work, daemon=True)  # which ends with the tests, if it never does
    thread.start()
    thread.join(30)
    assert found == [[number, number] for number in numbers]
    remote.close()
