"""Results and leases, on SQLite and PostgreSQL: every key is searched by one holder, and written once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select

from multiblast.archive import Summary
from multiblast.database import Database, Failure, Lease, Pack, Result, in_portions, utc_now
from multiblast.errors import NotFoundError, ObjectMissingError, StoreError
from multiblast.ids import digest
from multiblast.results import Claim, PackWriter, Results
from multiblast.results.compaction import compact
from multiblast.stores import LocalStore
from multiblast.upkeep import StorageUpkeep

_SUMMARY = Summary(
    hits=2,
    hsps=3,
    best_hit="P12345.1",
    evalue=1e-30,
    bit_score=120.5,
    identity_percent=98.0,
    coverage_percent=100.0,
    query_length=250,
)
_NOTHING_LEFT = "masked whole: nothing was left to search with"


def _keys(count: int, kind: str = "key") -> list[str]:
    return [digest("test/1", [kind, number]) for number in range(count)]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def results(database: Database, store: LocalStore) -> Results:
    return Results(database, store)


def _add(  # noqa: PLR0913 - the facts of some results
    results: Results,
    keys: list[str],
    holder: str = "",
    summary: Summary = _SUMMARY,
    text: str = "",
    *,
    lost: Collection[str] = (),
) -> str:
    with PackWriter(results._store) as pack:
        for key in keys:
            pack.add(key, f"archive of {key} {text}".encode())
        results.add(pack, [summary] * len(keys), holder, lost=lost)
    return results.known(keys)[keys[-1]].pack


def _row(database: Database, key: str) -> Result:
    with database.read() as session:
        return session.get_one(Result, key)


def _expire(database: Database, holder: str) -> None:
    with database.write() as session:
        past = utc_now() - timedelta(seconds=1)
        session.exec(update(Lease).where(col(Lease.holder) == holder).values(expires_at=past))


def _failures(database: Database) -> dict[str, Failure]:
    with database.read() as session:
        return {row.key: row for row in session.exec(select(Failure))}


def _leases(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.key: row.holder for row in session.exec(select(Lease))}


def test_claim_gives_what_nobody_has(results: Results) -> None:
    keys = _keys(3)
    assert results.claim(keys, "me") == Claim(mine=frozenset(keys))


def test_claim_tells_what_is_known_and_what_others_search(results: Results) -> None:
    known, others, free = _keys(3)
    _add(results, [known])
    results.claim([others], "other")
    claim = results.claim([known, others, free], "me")
    assert claim == Claim(frozenset([known]), frozenset([free]), frozenset([others]))


def test_claim_of_one_s_own_again_is_granted(results: Results) -> None:
    keys = _keys(2)
    results.claim(keys, "me")
    assert results.claim(keys, "me").mine == frozenset(keys)


def test_claim_of_nothing_is_nothing(results: Results) -> None:
    assert results.claim([], "me") == Claim()


def test_claim_of_more_keys_than_fit_a_statement(results: Results) -> None:
    keys = _keys(7000)
    assert len(results.claim(keys, "me").mine) == 7000
    assert len(results.claim(keys, "you").others) == 7000


def test_expired_lease_is_taken_over(results: Results, database: Database) -> None:
    keys = _keys(2)
    results.claim(keys, "dead")
    _expire(database, "dead")
    assert results.claim(keys, "me").mine == frozenset(keys)
    assert results.claim(keys, "you").others == frozenset(keys)


def test_lease_of_a_process_that_ended_here_is_taken_over_at_once(results: Results, database: Database) -> None:
    code = f"""
from multiblast.database import Database
from multiblast.results import Results, new_holder
from multiblast.stores import MemoryStore
results = Results(Database({database.url!r}), MemoryStore())
print(len(results.claim({_keys(2)!r}, new_holder()).mine))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout == "2\n"
    assert results.claim(_keys(2), "me").mine == frozenset(_keys(2))


def test_release_gives_back_one_s_own_only(results: Results, database: Database) -> None:
    mine, yours = _keys(2)
    results.claim([mine], "me")
    results.claim([yours], "you")
    results.release("me")
    assert _leases(database) == {yours: "you"}


def test_leases_kept_alive_gives_back_even_after_an_error(results: Results, database: Database) -> None:
    with suppress(ZeroDivisionError), results.keep_leases_alive("me"):
        results.claim(_keys(2), "me")
        raise ZeroDivisionError
    assert _leases(database) == {}


def test_leases_are_kept_alive(results: Results, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.database.lease_renewal.HEARTBEAT_S", 0.05)
    with results.keep_leases_alive("me"):
        results.claim(_keys(1), "me")
        _expire(database, "me")
        time.sleep(0.5)
        assert results.claim(_keys(1), "you").others == frozenset(_keys(1))


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
        results.claim(_keys(1), "me")
        time.sleep(0.5)
        _expire(database, "me")
        time.sleep(0.5)
        assert results.claim(_keys(1), "you").others == frozenset(_keys(1))


def test_renewing_does_not_win_back_a_lost_lease(results: Results, database: Database) -> None:
    results.claim(_keys(1), "slow")
    _expire(database, "slow")
    results.claim(_keys(1), "quick")
    results.renew("slow")
    assert _leases(database) == {_keys(1)[0]: "quick"}


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
    keys = _keys(400)
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
    assert _leases(database) == {}
    assert sum(1 for _ in results.archives(keys)) == 400


def test_claim_that_comes_as_a_search_ends_finds_the_result(results: Results, database: Database) -> None:
    """Between looking for results and taking a lease, another's search may end; it must not be repeated."""
    keys, claimed = _keys(60), set[str]()
    results.claim(keys, "first")
    ended = threading.Event()

    def claim_until_the_end() -> None:
        while not ended.is_set():
            claimed.update(results.claim(keys, "second").mine)

    thread = threading.Thread(target=claim_until_the_end)
    thread.start()
    for key in keys:
        _add(results, [key], "first")
    ended.set()
    thread.join()
    assert claimed == set()
    assert _leases(database) == {}


def test_results_that_are_compacted_while_others_of_their_pack_are_added_are_all_read(
    results: Results, database: Database, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between, nothing refers to the pack, and its number may be given to another one."""
    keys, others = _keys(9), iter(_keys(9, "other"))

    def interrupted(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
        for some in in_portions(items, size):
            yield some
            with monkeypatch.context() as patch:
                patch.setattr("multiblast.results.results.in_portions", in_portions)
                assert compact(database, store).errors == {}
                _add(results, [next(others)])

    monkeypatch.setattr("multiblast.results.results._SLICE", 3)
    monkeypatch.setattr("multiblast.results.results.in_portions", interrupted)
    _add(results, keys)
    assert list(results.archives(keys)) == [f"archive of {key} ".encode() for key in keys]


def test_results_that_are_compacted_while_packs_are_swept_are_all_read(
    results: Results, database: Database, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another clean-up, to which a new pack with old results looks like one that nothing refers to."""
    keys, others = _keys(8), iter(_keys(9, "other"))
    _add(results, keys)
    with database.write() as session:
        session.exec(update(Pack).values(created_at=utc_now() - timedelta(days=20)))
        session.exec(delete(Result).where(col(Result.key).in_(keys[3:])))

    def interrupted(items: Iterable[Any], size: int = 1) -> Iterator[list[Any]]:
        for some in in_portions(items, size):
            StorageUpkeep(database, store, 30).sweep()
            _add(results, [next(others)])
            yield some

    monkeypatch.setattr("multiblast.results.compaction.in_portions", interrupted)
    assert compact(database, store, 0.9).packs == 1
    assert list(results.archives(keys[:3])) == [f"archive of {key} ".encode() for key in keys[:3]]


def test_result_is_written_once_and_never_changed(results: Results, database: Database) -> None:
    key = _keys(1)
    first = _add(results, key, text="first")
    _add(results, key, text="second", summary=Summary(0, 0, "", None, None, None, None, 1))
    assert (results.known(key)[key[0]].pack, _row(database, key[0]).hits) == (first, 2)
    assert list(results.archives(key)) == [f"archive of {key[0]} first".encode()]


def test_adding_gives_leases_back_and_forgives_failures(results: Results, database: Database) -> None:
    keys = _keys(2)
    results.claim(keys, "me")
    results.fail(keys[0], "out of memory", "too long", "me")
    _add(results, keys, "me")
    assert _leases(database) == {}
    assert _failures(database) == {}


def test_adding_leaves_the_lease_of_a_successor(results: Results, database: Database) -> None:
    results.claim(_keys(1), "slow")
    _expire(database, "slow")
    results.claim(_keys(1), "quick")
    _add(results, _keys(1), "slow")
    assert _leases(database) == {_keys(1)[0]: "quick"}


def test_adding_an_empty_pack_stores_nothing(results: Results, store: LocalStore) -> None:
    with PackWriter(store) as pack:
        results.add(pack, [], "me")
    assert list(store.list()) == []


def test_result_keeps_its_summary(results: Results, database: Database) -> None:
    key = _keys(1)
    before = utc_now()
    _add(results, key)
    row = _row(database, key[0])
    assert (row.hits, row.best_hit, row.evalue) == (2, "P12345.1", 1e-30)
    assert (row.identity_percent, row.coverage_percent, row.note) == (98.0, 100.0, "")
    with database.read() as session:
        assert before <= session.exec(select(Pack.created_at)).one() <= utc_now()


@pytest.mark.parametrize(
    ("summary", "note"),
    [
        (Summary(0, 0, "", None, None, None, None, 50), "no hits"),
        (Summary(0, 0, "", None, None, None, None, 50, masked_length=12), "no hits (12 of 50 letters masked)"),
        (Summary(0, 0, "", None, None, None, None, 50, masked_length=50), _NOTHING_LEFT),
        (Summary(0, 0, "", None, None, None, None, 50, searched=False), _NOTHING_LEFT),
    ],
)
def test_empty_result_says_why(results: Results, database: Database, summary: Summary, note: str) -> None:
    _add(results, _keys(1), summary=summary)
    assert _row(database, _keys(1)[0]).note == note


def test_failure_is_kept_until_it_is_forgiven(results: Results, database: Database) -> None:
    keys = _keys(2)
    results.claim(keys, "me")
    results.fail(keys[0], "out of memory", "first", "me")
    results.fail(keys[0], "out of memory", "again", "me", batch_run=7)
    failure = _failures(database)[keys[0]]
    assert (failure.failure_class, failure.message, failure.batch_run) == ("out of memory", "again", 7)
    assert set(_leases(database)) == {keys[1]}
    results.clear_failures(keys)
    assert _failures(database) == {}


def test_archives_come_in_the_order_asked_for(results: Results) -> None:
    keys = _keys(7)
    for some in (keys[:3], keys[3:4], keys[4:]):
        _add(results, some)
    order = [keys[index] for index in (6, 0, 3, 0, 5, 1, 2, 4)]
    assert list(results.archives(order)) == [f"archive of {key} ".encode() for key in order]


def test_archives_of_many_keys_are_read_some_at_a_time(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more packs than are kept open, and keys that come back to one that was closed."""
    monkeypatch.setattr("multiblast.results.results._READ_AT_A_TIME", 5)
    monkeypatch.setattr("multiblast.results.packs._MOST_OPEN", 1)
    monkeypatch.setattr("multiblast.results.packs._SPOOL_AT_LEAST", 2)
    keys = _keys(12)
    for some in (keys[:4], keys[4:8], keys[8:]):
        _add(results, some)
    order = [*keys, *keys[::-1], *keys[::5]]
    assert list(results.archives(order)) == [f"archive of {key} ".encode() for key in order]


def test_archives_of_an_unknown_key_name_it(results: Results) -> None:
    with pytest.raises(NotFoundError, match=f"no result '{_keys(1)[0]}'; run its job again"):
        next(results.archives(_keys(1)))


def test_lost_pack_is_noticed_and_nothing_forgotten(results: Results, store: LocalStore) -> None:
    keys = _keys(5)
    _add(results, keys[:2])
    pack = _add(results, keys[2:])
    rows = results.known(keys)
    assert results.lost_packs(rows.values()) == frozenset()
    store.delete([pack])
    assert results.lost_packs(rows.values()) == frozenset([pack])
    assert results.known(keys) == rows


def test_result_in_a_lost_pack_is_claimed_and_replaced(results: Results, store: LocalStore) -> None:
    keys = _keys(2)
    kept, pack = _add(results, keys[:1]), _add(results, keys[1:])
    store.delete([pack])
    assert results.claim(keys, "other").mine == set()
    assert results.claim(keys, "me", lost={pack}).mine == {keys[1]}
    new = _add(results, keys, lost={pack})
    assert {key: row.pack for key, row in results.known(keys).items()} == {keys[0]: kept, keys[1]: new}
    assert results.claim(keys, "me", lost={pack}).mine == set()


def test_failure_takes_the_place_of_a_result_in_a_lost_pack_alone(results: Results) -> None:
    keys = _keys(2)
    _add(results, keys[:1])
    pack = _add(results, keys[1:])
    for key in keys:
        results.fail(key, "out of memory", "too long", "me", lost={pack})
    assert set(results.known(keys)) == {keys[0]}


def test_failure_leaves_the_lease_of_somebody_else(results: Results, database: Database) -> None:
    """Whoever was too slow to keep its lease reports a failure, while another one searches."""
    keys = _keys(1)
    assert results.claim(keys, "another").mine == set(keys)
    results.fail(keys[0], "out of memory", "too long", "me")
    with database.read() as session:
        assert session.get_one(Lease, keys[0]).holder == "another"


def test_lost_pack_is_an_error_to_whoever_reads(results: Results, store: LocalStore) -> None:
    store.delete([_add(results, _keys(1))])
    with pytest.raises(ObjectMissingError):
        list(results.archives(_keys(1)))


def test_damaged_result_is_an_error_to_whoever_reads(results: Results, store: LocalStore) -> None:
    name = _add(results, _keys(1))
    data = bytearray(store.read(name))
    data[20] ^= 1
    store.put(name, bytes(data))
    with pytest.raises(StoreError, match="is damaged"):
        list(results.archives(_keys(1)))


def test_results_of_two_databases_are_apart(results: Results, sqlite_url: str, store: LocalStore) -> None:
    _add(results, _keys(1))
    other = Database(sqlite_url.replace("jobs", "other"))
    assert Results(other, store).known(_keys(1)) == {}
    other.close()


def test_rows_have_times_with_their_zone(results: Results, database: Database) -> None:
    results.fail(_keys(1)[0], "x", "y", "me")
    _add(results, _keys(2))
    with database.read() as session:
        times = [row.created_at for row in session.exec(select(Pack))]
        times += [row.at for row in session.exec(select(Failure))]
    assert all(time.tzinfo is not None for time in times)
