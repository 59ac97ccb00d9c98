"""Health: is everything that the services depend on reachable, and how fast does it answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import httpx
from sqlalchemy import text

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.options import PROGRAMS
from multiblast.stores import Store
from multiblast.targets import Targets

__all__ = ["Check", "health"]

_TIMEOUT_S = 5.0
_PROBE = ObjectKind.PROBE.key("probe")


@dataclass(frozen=True, slots=True)
class Check:
    """How one dependency is.

    Attributes:
        name: The dependency.
        reachable: Whether it answered as it should.
        latency_ms: How long that took.
        detail: What it answered, or what is wrong with it.
    """

    name: str
    reachable: bool
    latency_ms: float
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def health(
    database: Database, store: Store, installation: Installation, targets: Targets, prefect_api_url: str = ""
) -> list[Check]:
    """Ask each dependency; those that do not answer are told, never raised.

    Args:
        database: The job database.
        store: Where objects are kept.
        installation: The programs.
        targets: The databases that are searched.
        prefect_api_url: Prefect's API, e.g. ``http://127.0.0.1:4200/api``; empty if flows are not run by a server.
    """
    checks = [
        _check("job database", lambda: _ask_database(database)),
        _check("result storage", lambda: f"{store!r}" if store.exists(_PROBE) in {True, False} else ""),
        _check("BLAST+ programs", lambda: _ask_programs(installation)),
        _check("target databases", lambda: _ask_targets(targets)),
    ]
    if prefect_api_url:
        checks.append(_check("Prefect", lambda: _ask_prefect(prefect_api_url)))
    return checks


def _check(name: str, ask: Callable[[], str]) -> Check:
    started = time.perf_counter()
    try:
        reachable, detail = True, ask()
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
        reachable, detail = False, f"{type(error).__name__}: {error}"
    return Check(name, reachable, round(1000 * (time.perf_counter() - started), 3), detail)


def _ask_database(database: Database) -> str:
    with database.read() as session:
        session.connection().execute(text("SELECT 1"))
    return repr(database)


def _ask_programs(installation: Installation) -> str:
    versions = {program: installation.version(program) for program in (*PROGRAMS, "blast_formatter")}
    return ", ".join(sorted(set(versions.values())))


def _ask_targets(targets: Targets) -> str:
    count = len(targets.databases())
    if not count:
        raise LookupError(f"no database under {targets.root}: put some there")
    return f"{count} databases under {targets.root}"


def _ask_prefect(api_url: str) -> str:
    answer = httpx.get(f"{api_url.rstrip('/')}/health", timeout=_TIMEOUT_S)
    answer.raise_for_status()
    return api_url
