"""Health: is everything that the services depend on reachable, and how fast does it answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.options import PROGRAMS
from multiblast.stores import Store
from multiblast.targets import Targets

_PROBE = ObjectKind.PROBE.key("probe")


@dataclass(frozen=True, slots=True)
class Check:
    """How one dependency is: whether it answered as it should, what, or what is wrong with it."""

    name: str
    reachable: bool
    latency_ms: float
    detail: str


def health(database: Database, store: Store, installation: Installation, targets: Targets) -> list[Check]:
    """Try each dependency; one that does not answer is a check that failed, never raised."""
    return [
        measure("job database", lambda: _try_database(database)),
        measure("result storage", lambda: _try_store(store)),
        measure("BLAST+ programs", lambda: _try_programs(installation)),
        measure("target databases", lambda: _try_targets(targets)),
    ]


def measure(name: str, attempt: Callable[[], str]) -> Check:
    """Try one dependency by what returns its answer, or raises what is wrong with it."""
    started = time.perf_counter()
    try:
        reachable, detail = True, attempt()
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
        reachable, detail = False, f"{type(error).__name__}: {error}"
    return Check(name, reachable, round(1000 * (time.perf_counter() - started), 3), detail)


def _try_database(database: Database) -> str:
    with database.read() as session:
        session.connection().execute(text("SELECT 1"))
    return repr(database)


def _try_store(store: Store) -> str:
    store.exists(_PROBE)  # whether it is there does not matter: a store that is away raises
    return repr(store)


def _try_programs(installation: Installation) -> str:
    versions = {program: installation.version(program) for program in (*PROGRAMS, "blast_formatter")}
    return ", ".join(sorted(set(versions.values())))


def _try_targets(targets: Targets) -> str:
    count = len(targets.databases())
    if not count:
        raise LookupError(f"no database under {targets.root}: put some there")
    return f"{count} databases under {targets.root}"
