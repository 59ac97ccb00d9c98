"""Results and leases, on SQLite and PostgreSQL: every key is searched by one holder, and written once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from sqlalchemy.exc import OperationalError

from multiblast.database import Database
from multiblast.results import Claim, Results
from multiblast.stores import LocalStore
from tests.support.results import add_results, expire_leases, keys_of, leases


def test_claim_gives_what_nobody_has(results: Results) -> None:
    keys = keys_of(3)
    assert results.claim(keys, "me") == Claim(mine=frozenset(keys))


def test_claim_tells_what_is_known_and_what_others_search(results: Results) -> None:
    known, others, free = keys_of(3)
    add_results(results, [known])
    results.claim([others], "other")
    claim = results.claim([known, others, free], "me")
    assert claim == Claim(frozenset([known]), frozenset([free]), frozenset([others]))


def test_claim_of_one_s_own_again_is_granted(results: Results) -> None:
    keys = keys_of(2)
    results.claim(keys, "me")
    assert results.claim(keys, "me").mine == frozenset(keys)


def test_claim_of_nothing_is_nothing(results: Results) -> None:
    assert results.claim([], "me") == Claim()


def test_claim_of_more_keys_than_fit_a_statement(results: Results) -> None:
    keys = keys_of(7000)
    assert len(results.claim(keys, "me").mine) == 7000
    assert len(results.claim(keys, "you").others) == 7000


def test_expired_lease_is_taken_over(results: Results, database: Database) -> None:
    keys = keys_of(2)
    results.claim(keys, "dead")
    expire_leases(database, "dead")
    assert results.claim(keys, "me").mine == frozenset(keys)
    assert results.claim(keys, "you").others == frozenset(keys)


def test_lease_of_a_process_that_ended_here_is_taken_over_at_once(results: Results, database: Database) -> None:
    code = f"""
from multiblast.database import Database
from multiblast.results import Results, new_holder
from multiblast.stores import MemoryStore
results = Results(Database({database.url!r}), MemoryStore())
print(len(results.claim({keys_of(2)!r}, new_holder()).mine))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout == "2\n"
    assert results.claim(keys_of(2), "me").mine == frozenset(keys_of(2))


def test_release_gives_back_one_s_own_only(results: Results, database: Database) -> None:
    mine, yours = keys_of(2)
    results.claim([mine], "me")
    results.claim([yours], "you")
    results.release("me")
    assert leases(database) == {yours: "you"}


def test_leases_kept_alive_gives_back_even_after_an_error(results: Results, database: Database) -> None:
    with suppress(ZeroDivisionError), results.keep_leases_alive("me"):
        results.claim(keys_of(2), "me")
        raise ZeroDivisionError
    assert leases(database) == {}


def test_leases_are_kept_alive(results: Results, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.database.lease_renewal.HEARTBEAT_S", 0.05)
    with results.keep_leases_alive("me"):
        results.claim(keys_of(1), "me")
        expire_leases(database, "me")
        time.sleep(0.5)
        assert results.claim(keys_of(1), "you").others == frozenset(keys_of(1))


def test_leases_kept_alive_survives_a_database_that_is_away(
    results: Results, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat goes on after an error, such as a server's restart."""
    monkeypatch.setattr("multiblast.database.lease_renewal.HEARTBEAT_S", 0.05)
    renew, failures = Results.renew, iter([OperationalError("UPDATE", {}, Exception("server closed"))])

    def failing(self: Results, holder: str) -> None:
        if error := next(failures, None):
            raise error
        renew(self, holder)

    monkeypatch.setattr(Results, "renew", failing)
    with results.keep_leases_alive("me"):
        results.claim(keys_of(1), "me")
        time.sleep(0.5)
        expire_leases(database, "me")
        time.sleep(0.5)
        assert results.claim(keys_of(1), "you").others == frozenset(keys_of(1))


def test_renewing_does_not_win_back_a_lost_lease(results: Results, database: Database) -> None:
    results.claim(keys_of(1), "slow")
    expire_leases(database, "slow")
    results.claim(keys_of(1), "quick")
    results.renew("slow")
    assert leases(database) == {keys_of(1)[0]: "quick"}


_CLAIMER = """
import json, random, sys, time
from multiblast.archive import Summary
from multiblast.database import Database
from multiblast.results import PackWriter, Results, new_holder
from multiblast.stores import LocalStore
url, root, seed = sys.argv[1:]
choose = random.Random(int(seed))
keys = json.load(sys.stdin)
store = LocalStore(root)
results = Results(Database(url), store)
results.known(keys)
summary = Summary(0, 0, "", None, None, None, None, 10)
print("ready", flush=True)
searched, left = [], set(keys)
while left:
    holder = new_holder()
    with results.keep_leases_alive(holder):
        claim = results.claim(choose.sample(sorted(left), min(len(left), 40)), holder)
        left -= claim.known
        if claim.mine:
            searched += claim.mine
            with PackWriter(store) as pack:
                for key in claim.mine:
                    pack.add(key, key.encode())
                results.add(pack, [summary] * len(claim.mine), holder)
            left -= claim.mine
        elif not claim.known:
            time.sleep(0.005)
print(json.dumps(searched))
"""


def test_processes_that_want_the_same_keys_search_each_once(
    results: Results, database: Database, store: LocalStore
) -> None:
    keys = keys_of(400)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _CLAIMER, database.url, str(store.root), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    searched: Counter[str] = Counter()
    outputs: list[str] = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(json.dumps(keys))
        process.stdin.close()
    for process in processes:
        assert process.stdout is not None
        with process.stdout:
            outputs.append(process.stdout.read())
        assert process.wait() == 0
    for output in outputs:
        searched.update(json.loads(output.partition("\n")[2]))
    assert searched == Counter(keys)
    assert leases(database) == {}
    assert sum(1 for _ in results.archives(keys)) == 400


def test_claim_that_comes_as_a_search_ends_finds_the_result(results: Results, database: Database) -> None:
    """Between looking for results and taking a lease, another's search may end; it must not be repeated."""
    keys, claimed = keys_of(60), set[str]()
    results.claim(keys, "first")
    ended = threading.Event()

    def claim_until_the_end() -> None:
        while not ended.is_set():
            claimed.update(results.claim(keys, "second").mine)

    thread = threading.Thread(target=claim_until_the_end)
    thread.start()
    for key in keys:
        add_results(results, [key], "first")
    ended.set()
    thread.join()
    assert claimed == set()
    assert leases(database) == {}
