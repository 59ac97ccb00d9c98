"""Results made up for tests, and what the database has of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col, select

from multiblast.archive import Summary
from multiblast.database import Database, Lease, utc_now
from multiblast.ids import digest
from multiblast.results import PackWriter, Results

SUMMARY = Summary(
    hits=2,
    hsps=3,
    best_hit="P12345.1",
    evalue=1e-30,
    bit_score=120.5,
    identity_percent=98.0,
    coverage_percent=100.0,
    query_length=250,
)


def keys_of(count: int, kind: str = "key") -> list[str]:
    return [digest("test/1", [kind, number]) for number in range(count)]


def add_results(  # noqa: PLR0913 - the facts of some results
    results: Results,
    keys: list[str],
    holder: str = "",
    summary: Summary = SUMMARY,
    text: str = "",
    *,
    lost: Collection[str] = (),
) -> str:
    with PackWriter(results._store) as pack:
        for key in keys:
            pack.add(key, f"archive of {key} {text}".encode())
        results.add(pack, [summary] * len(keys), holder, lost=lost)
    return results.known(keys)[keys[-1]].pack


def expire_leases(database: Database, *holders: str) -> None:
    with database.write() as session:
        past = utc_now() - timedelta(seconds=1)
        session.exec(update(Lease).where(col(Lease.holder).in_(holders)).values(expires_at=past))


def leases(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.key: row.holder for row in session.exec(select(Lease))}
