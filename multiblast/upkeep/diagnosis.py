"""How an installation is: a quick look whether all is reachable, and a thorough one for what is wrong."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text

from multiblast.blast_versions import remedy_of_old, version_note
from multiblast.database import Database
from multiblast.grown.refused_ways import RefusedWays
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.options import PROGRAMS
from multiblast.plugins.confinement import REMEDY, confinement_check
from multiblast.settings import home
from multiblast.stores import Store
from multiblast.targets import Targets

_FREE_BYTES = (10 << 30, 1 << 30)
_PROBE = b"written by multiblast doctor\n"
_REMEDIES = {
    "job database": "check that it runs, and the URL in the block BLAST job database",
    "BLAST+ programs": "install BLAST+, or name its directory in the block BLAST installation",
    "target databases": "multiblast make-target, or see docs/how-to/add-databases.md",
}


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
        measure("job database", lambda: _look_at_database(database)),
        measure("result storage", lambda: _look_at_store(store)),
        _check_programs(installation),
        measure("target databases", lambda: _look_at_targets(targets)),
    ]


def measure(name: str, attempt: Callable[[], str]) -> Check:
    """Try one dependency by what returns its answer, or raises what is wrong with it."""
    started = time.perf_counter()
    try:
        reachable, detail = True, attempt()
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
        reachable, detail = False, f"{type(error).__name__}: {error}"
    return Check(name, reachable, round(1000 * (time.perf_counter() - started), 3), detail)


def _look_at_database(database: Database) -> str:
    with database.read() as session:
        session.connection().execute(text("SELECT 1"))
    return repr(database)


def _look_at_store(store: Store) -> str:
    store.exists(ObjectKind.PROBE.key("probe"))  # whether it is there does not matter: a store that is away raises
    return repr(store)


def _look_at_targets(targets: Targets) -> str:
    count = len(targets.databases())
    if not count:
        raise LookupError(f"no database under {targets.root}: put some there")
    return f"{count} databases under {targets.root}"


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is; there is no remedy where nothing is to be done."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def diagnose(database: Database, store: Store, installation: Installation, targets: Targets) -> Iterator[Finding]:
    """Look at everything on this machine and behind it; what is broken is a finding, never raised.

    The database is opened, and so brought to the newest schema; an object is written to the store, read and deleted.
    """
    check = measure("job database", lambda: _look_at_database(database))
    yield _judged(check)
    if check.reachable:
        yield from _look_at_refused_ways(database)
    yield _try_store(store)
    yield from diagnose_machine(installation, targets)


def diagnose_machine(installation: Installation, targets: Targets) -> Iterator[Finding]:
    """Look at what is on this machine: programs, databases and disks."""
    check = _check_programs(installation)
    yield _judged(check)
    if check.reachable:
        yield from _compare_versions(installation)
    yield _judged(measure("target databases", lambda: _look_at_targets(targets)))
    for problem in targets.unusable():
        yield Finding("target database", Verdict.WARN, str(problem), "mend it, or take it out of the targets")
    yield _look_at_confinement()
    for directory in dict.fromkeys((home(), targets.root, Path(tempfile.gettempdir()))):
        yield _measure_disk(directory)


def _look_at_refused_ways(database: Database) -> Iterator[Finding]:
    ways = RefusedWays(database)
    for row in ways.list():
        found = f"{row.way} is switched off: {row.reason}; {ways.results(row.way):,} results were found that way"
        remedy = f"report it with the job's query; multiblast ways --forget {row.way} has those results searched whole "
        remedy += f"again; in the end: multiblast ways --allow {row.way}"
        yield Finding("search of what is new", Verdict.WARN, found, remedy)


def _judged(check: Check) -> Finding:
    if check.reachable:
        return Finding(check.name, Verdict.OK, check.detail)
    return Finding(check.name, Verdict.FAIL, check.detail, _REMEDIES[check.name])


def _check_programs(installation: Installation) -> Check:
    return measure("BLAST+ programs", lambda: ", ".join(sorted(set(_versions(installation).values()))))


def _try_store(store: Store) -> Finding:
    key = ObjectKind.PROBE.key(uuid4().hex)
    try:
        store.put(key, BytesIO(_PROBE))
        whole = store.read(key) == _PROBE
        store.delete([key])
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the answer
        remedy = "check that it is there and may be written to, and the block BLAST result storage"
        return Finding("result storage", Verdict.FAIL, f"{type(error).__name__}: {error}", remedy)
    if not whole:
        return Finding("result storage", Verdict.FAIL, f"{store!r} gives back other bytes", "use another one")
    return Finding("result storage", Verdict.OK, f"{store!r}: written, read and deleted")


def _compare_versions(installation: Installation) -> Iterator[Finding]:
    versions = _versions(installation)
    if len(set(versions.values())) > 1:
        detail = ", ".join(f"{program} {version}" for program, version in versions.items())
        yield Finding("BLAST+ versions", Verdict.WARN, detail, "install all programs of one version")
    for version in sorted(set(versions.values())):
        if remedy := remedy_of_old(version):
            yield Finding("BLAST+ version", Verdict.FAIL, f"{version} is too old", remedy)
        elif note := version_note(version):
            yield Finding("BLAST+ version", Verdict.WARN, note, "compare with your own queries: multiblast exactness")


def _look_at_confinement() -> Finding:
    are_confined, detail = confinement_check()
    verdict, remedy = (Verdict.OK, "") if are_confined else (Verdict.WARN, REMEDY)
    return Finding("sandbox of plugins", verdict, detail, remedy)


def _measure_disk(directory: Path) -> Finding:
    while not directory.exists():
        directory = directory.parent
    free = shutil.disk_usage(directory).free
    verdict, remedy = Verdict.OK, ""
    if free < _FREE_BYTES[0]:
        verdict = Verdict.FAIL if free < _FREE_BYTES[1] else Verdict.WARN
        remedy = "make room: multiblast expire lets unused results go"
    return Finding("free disk", verdict, f"{free / (1 << 30):,.1f} GiB at {directory}", remedy)


def _versions(installation: Installation) -> dict[str, str]:
    return {program: installation.version(program) for program in (*PROGRAMS, "blast_formatter")}
