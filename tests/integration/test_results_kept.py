"""Results as they are kept, on SQLite and PostgreSQL: written once, read whole, and honest about what was lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from multiblast.archive import Summary
from multiblast.database import Database, Failure, Lease, Pack, Result, in_portions, utc_now
from multiblast.errors import NotFoundError, ObjectMissingError, StoreError
from multiblast.results import PackWriter, Results
from multiblast.results.compaction import compact
from multiblast.stores import LocalStore
from multiblast.upkeep import StorageUpkeep
from tests.support.results import add_results, expire_leases, keys_of, leases

_NOTHING_LEFT = "masked whole: nothing was left to search with"


def _row(database: Database, key: str) -> Result:
    with database.read() as session:
        return session.get_one(Result, key)


def _failures(database: Database) -> dict[str, Failure]:
    with database.read() as session:
        return {row.key: row for row in session.exec(select(Failure))}


def test_results_that_are_compacted_while_others_of_their_pack_are_added_are_all_read(
    results: Results, database: Database, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In between, nothing refers to the pack, and its number may be given to another one."""
    keys, others = keys_of(9), iter(keys_of(9, "other"))

    def interrupted(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
        for some in in_portions(items, size):
            yield some
            with monkeypatch.context() as patch:
                patch.setattr("multiblast.results.results.in_portions", in_portions)
                assert compact(database, store).errors == {}
                add_results(results, [next(others)])

    monkeypatch.setattr("multiblast.results.results._SLICE", 3)
    monkeypatch.setattr("multiblast.results.results.in_portions", interrupted)
    add_results(results, keys)
    assert list(results.archives(keys)) == [f"archive of {key} ".encode() for key in keys]


def test_results_that_are_compacted_while_packs_are_swept_are_all_read(
    results: Results, database: Database, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another clean-up, to which a new pack with old results looks like one that nothing refers to."""
    keys, others = keys_of(8), iter(keys_of(9, "other"))
    add_results(results, keys)
    with database.write() as session:
        session.exec(update(Pack).values(created_at=utc_now() - timedelta(days=20)))
        session.exec(delete(Result).where(col(Result.key).in_(keys[3:])))

    def interrupted(items: Iterable[Any], size: int = 1) -> Iterator[list[Any]]:
        for some in in_portions(items, size):
            StorageUpkeep(database, store, 30).sweep()
            add_results(results, [next(others)])
            yield some

    monkeypatch.setattr("multiblast.results.compaction.in_portions", interrupted)
    assert compact(database, store, 0.9).packs == 1
    assert list(results.archives(keys[:3])) == [f"archive of {key} ".encode() for key in keys[:3]]


def test_result_is_written_once_and_never_changed(results: Results, database: Database) -> None:
    key = keys_of(1)
    first = add_results(results, key, text="first")
    add_results(results, key, text="second", summary=Summary(0, 0, "", None, None, None, None, 1))
    assert (results.known(key)[key[0]].pack, _row(database, key[0]).hits) == (first, 2)
    assert list(results.archives(key)) == [f"archive of {key[0]} first".encode()]


def test_adding_gives_leases_back_and_forgives_failures(results: Results, database: Database) -> None:
    keys = keys_of(2)
    results.claim(keys, "me")
    results.fail(keys[0], "out of memory", "too long", "me")
    add_results(results, keys, "me")
    assert leases(database) == {}
    assert _failures(database) == {}


def test_adding_leaves_the_lease_of_a_successor(results: Results, database: Database) -> None:
    results.claim(keys_of(1), "slow")
    expire_leases(database, "slow")
    results.claim(keys_of(1), "quick")
    add_results(results, keys_of(1), "slow")
    assert leases(database) == {keys_of(1)[0]: "quick"}


def test_adding_an_empty_pack_stores_nothing(results: Results, store: LocalStore) -> None:
    with PackWriter(store) as pack:
        results.add(pack, [], "me")
    assert list(store.list()) == []


def test_result_keeps_its_summary(results: Results, database: Database) -> None:
    key = keys_of(1)
    before = utc_now()
    add_results(results, key)
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
    add_results(results, keys_of(1), summary=summary)
    assert _row(database, keys_of(1)[0]).note == note


def test_failure_is_kept_until_it_is_forgiven(results: Results, database: Database) -> None:
    keys = keys_of(2)
    results.claim(keys, "me")
    results.fail(keys[0], "out of memory", "first", "me")
    results.fail(keys[0], "out of memory", "again", "me", batch_run=7)
    failure = _failures(database)[keys[0]]
    assert (failure.failure_class, failure.message, failure.batch_run) == ("out of memory", "again", 7)
    assert set(leases(database)) == {keys[1]}
    results.clear_failures(keys)
    assert _failures(database) == {}


def test_archives_come_in_the_order_asked_for(results: Results) -> None:
    keys = keys_of(7)
    for some in (keys[:3], keys[3:4], keys[4:]):
        add_results(results, some)
    order = [keys[index] for index in (6, 0, 3, 0, 5, 1, 2, 4)]
    assert list(results.archives(order)) == [f"archive of {key} ".encode() for key in order]


def test_archives_of_many_keys_are_read_some_at_a_time(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more packs than are kept open, and keys that come back to one that was closed."""
    monkeypatch.setattr("multiblast.results.results._READ_AT_A_TIME", 5)
    monkeypatch.setattr("multiblast.results.packs._MOST_OPEN", 1)
    monkeypatch.setattr("multiblast.results.packs._SPOOL_AT_LEAST", 2)
    keys = keys_of(12)
    for some in (keys[:4], keys[4:8], keys[8:]):
        add_results(results, some)
    order = [*keys, *keys[::-1], *keys[::5]]
    assert list(results.archives(order)) == [f"archive of {key} ".encode() for key in order]


def test_archives_of_an_unknown_key_name_it(results: Results) -> None:
    with pytest.raises(NotFoundError, match=f"no result '{keys_of(1)[0]}'; run its job again"):
        next(results.archives(keys_of(1)))


def test_lost_pack_is_noticed_and_nothing_forgotten(results: Results, store: LocalStore) -> None:
    keys = keys_of(5)
    add_results(results, keys[:2])
    pack = add_results(results, keys[2:])
    rows = results.known(keys)
    assert results.lost_packs(rows.values()) == frozenset()
    store.delete([pack])
    assert results.lost_packs(rows.values()) == frozenset([pack])
    assert results.known(keys) == rows


def test_result_in_a_lost_pack_is_claimed_and_replaced(results: Results, store: LocalStore) -> None:
    keys = keys_of(2)
    kept, pack = add_results(results, keys[:1]), add_results(results, keys[1:])
    store.delete([pack])
    assert results.claim(keys, "other").mine == set()
    assert results.claim(keys, "me", lost={pack}).mine == {keys[1]}
    new = add_results(results, keys, lost={pack})
    assert {key: row.pack for key, row in results.known(keys).items()} == {keys[0]: kept, keys[1]: new}
    assert results.claim(keys, "me", lost={pack}).mine == set()


def test_failure_takes_the_place_of_a_result_in_a_lost_pack_alone(results: Results) -> None:
    keys = keys_of(2)
    add_results(results, keys[:1])
    pack = add_results(results, keys[1:])
    for key in keys:
        results.fail(key, "out of memory", "too long", "me", lost={pack})
    assert set(results.known(keys)) == {keys[0]}


def test_failure_leaves_the_lease_of_somebody_else(results: Results, database: Database) -> None:
    """Whoever was too slow to keep its lease reports a failure, while another one searches."""
    keys = keys_of(1)
    assert results.claim(keys, "another").mine == set(keys)
    results.fail(keys[0], "out of memory", "too long", "me")
    with database.read() as session:
        assert session.get_one(Lease, keys[0]).holder == "another"
        assert session.get(Failure, keys[0]) is None


def test_failure_beside_a_result_is_not_recorded(results: Results, database: Database) -> None:
    """Else a job that has both would count two sequences as done, and end before its last one."""
    add_results(results, keys_of(1))
    results.fail(keys_of(1)[0], "time limit", "too long", "slow")
    with database.read() as session:
        assert session.get(Failure, keys_of(1)[0]) is None


def test_lost_pack_is_an_error_to_whoever_reads(results: Results, store: LocalStore) -> None:
    store.delete([add_results(results, keys_of(1))])
    with pytest.raises(ObjectMissingError):
        list(results.archives(keys_of(1)))


def test_damaged_result_is_an_error_to_whoever_reads(results: Results, store: LocalStore) -> None:
    name = add_results(results, keys_of(1))
    data = bytearray(store.read(name))
    data[20] ^= 1
    store.put(name, bytes(data))
    with pytest.raises(StoreError, match="is damaged"):
        list(results.archives(keys_of(1)))


def test_results_of_two_databases_are_apart(results: Results, sqlite_url: str, store: LocalStore) -> None:
    add_results(results, keys_of(1))
    other = Database(sqlite_url.replace("jobs", "other"))
    assert Results(other, store).known(keys_of(1)) == {}
    other.close()


def test_rows_have_times_with_their_zone(results: Results, database: Database) -> None:
    results.fail(keys_of(1)[0], "x", "y", "me")
    add_results(results, keys_of(2))
    with database.read() as session:
        times = [row.created_at for row in session.exec(select(Pack))]
        times += [row.at for row in session.exec(select(Failure))]
    assert all(time.tzinfo is not None for time in times)
