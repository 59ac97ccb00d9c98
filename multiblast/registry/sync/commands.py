"""Commit, pull, push and update, as people request them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sqlmodel import select

from multiblast.errors import InvalidInputError
from multiblast.registry.config.reader import load_config
from multiblast.registry.config.schema import Config
from multiblast.registry.config.working_config import matches
from multiblast.registry.local.items import find_items, label, names_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.model.local_tables import Staged
from multiblast.registry.model.names import ProductName, resolve_version
from multiblast.registry.model.rows import CodeRunRow, DataProductRow, Endpoint, ObjectRow
from multiblast.registry.remotes.connection import RetryPolicy
from multiblast.registry.sync.pull import Pull
from multiblast.registry.sync.push import Push
from multiblast.registry.sync.registration import plan_registration, register
from multiblast.registry.sync.summary import ItemResult, Outcome, Progress, TransferSummary, no_progress
from multiblast.registry.sync.transfer import AT_ONCE


def commit(registry: Registry, items: Iterable[str], *, dry_run: bool = False) -> TransferSummary:
    """Mark code runs or files to be pushed with all their provenance; a dry run only returns which.

    Raises:
        NotFoundError: one of them is not here; none is marked.
    """
    rows = [row for text in items for row in find_items(registry, text)]
    summary = TransferSummary()
    with registry.writing() as session:
        for row in rows:
            result, reason = ItemResult.PLANNED if dry_run else ItemResult.DONE, ""
            if session.get(Staged, (row.kind, int(row.reference))) is not None:
                result, reason = ItemResult.KNOWN, "committed before"
            elif not dry_run:
                session.add(Staged(kind=row.kind, row_id=int(row.reference)))
            summary.outcomes.append(Outcome(label(registry, row), result, reason))
    return summary


def uncommit(registry: Registry, items: Iterable[str], *, every: bool = False) -> TransferSummary:
    """Take back that code runs or files, or all, are to be pushed; what was pushed stays where it is.

    Raises:
        NotFoundError: one of them is not here; none is taken back.
    """
    rows = [row for text in items for row in find_items(registry, text)]
    summary = TransferSummary()
    with registry.writing() as session:
        marks = {(mark.kind, str(mark.row_id)): mark for mark in session.exec(select(Staged))}
        if every:
            objects, runs = ([ref for kind, ref in marks if kind == wanted] for wanted in ("object", "code_run"))
            rows = [*registry.read(ObjectRow, objects), *registry.read(CodeRunRow, runs)]
        for row in rows:
            mark = marks.get(row.id)
            if mark is not None:
                session.delete(mark)
            result, reason = (ItemResult.DONE, "") if mark is not None else (ItemResult.KNOWN, "it was not committed")
            summary.outcomes.append(Outcome(label(registry, row), result, reason))
    return summary


def register_alone(
    config: Path, registry: Registry, user: RegistryUser, *, limits: RetryPolicy | None = None, dry_run: bool = False
) -> TransferSummary:
    """Record what a configuration registers, without a remote registry.

    Raises:
        InvalidInputError: the configuration, with all problems.
    """
    loaded, _, _ = load_config(config, registry, user)
    base = config.absolute().parent
    if dry_run:
        planned = [*plan_registration(registry, loaded, base), *_missing_caches(loaded, base)]
        return TransferSummary(planned, loaded.unread)
    done = [*register(registry, loaded, base, limits), *_use_caches(registry, loaded, base)]
    return TransferSummary(done, loaded.unread)


def plan_pull(
    config: Path, registry: Registry, remote: Endpoint, user: RegistryUser, *, sizes: bool = True
) -> TransferSummary:
    """Return what `pull` would do; ``sizes``: with the bytes of files of the remote, which is a request per file."""
    plan = Pull(registry, remote)
    loaded, _, _ = load_config(config, registry, user)
    base = config.absolute().parent
    registered = [*plan_registration(registry, loaded, base), *_missing_caches(loaded, base)]
    wanted, missing = _wanted(loaded, registry, remote)
    summary = plan.plan(wanted, sizes=sizes)
    summary.outcomes = [*registered, *summary.outcomes, *missing]
    summary.notes = [*loaded.unread, *summary.notes]
    return summary


def pull(  # noqa: PLR0913 - what, from where to where, and how
    config: Path,
    registry: Registry,
    remote: Endpoint,
    user: RegistryUser,
    *,
    at_once: int = AT_ONCE,
    all_files: bool = False,
    limits: RetryPolicy | None = None,
    progress: Progress = no_progress,
) -> TransferSummary:
    """Bring what a configuration reads and registers into the local registry, with its provenance.

    Raises:
        InvalidInputError: the configuration, with all problems.
    """
    transfer = Pull(registry, remote, at_once=at_once, all_files=all_files)
    loaded, _, _ = load_config(config, registry, user)
    base = config.absolute().parent
    registered = [*register(registry, loaded, base, limits), *_use_caches(registry, loaded, base)]
    wanted, missing = _wanted(loaded, registry, remote)
    summary = transfer.run(wanted, progress)
    summary.outcomes = [*registered, *summary.outcomes, *missing]
    summary.notes = [*loaded.unread, *summary.notes]
    return summary


def _wanted(
    config: Config, registry: Registry, remote: Endpoint
) -> tuple[dict[ProductName, DataProductRow], list[Outcome]]:
    """Return the data products to pull, and what is nowhere."""
    entries = [config.name_of(entry) for entry in config.read]
    names: dict[str, set[str]] = {}
    for namespace, name, _ in entries:
        names.setdefault(namespace, set()).add(name)
    there = {namespace: remote.products(namespace, sorted(some)) for namespace, some in names.items()}
    made_here = {config.name_of(entry)[:2] for entry in config.registered}
    made_here |= {config.name_of(entry)[:2] for entry in config.write}
    wanted: dict[ProductName, DataProductRow] = {}
    missing: list[Outcome] = []
    for namespace, name, text in entries:
        chosen = _chosen(namespace, [row for row in there[namespace] if matches(name, row.name)], text)
        wanted |= chosen
        if not chosen and (namespace, name) not in made_here:
            local = [row for row in registry.products(namespace, [name]) if matches(name, row.name)]
            if not _chosen(namespace, local, text):
                reason = f"neither {remote.name} nor the local registry has it"
                if "*" in name:
                    reason = f"nothing at {remote.name} or in the local registry matches it"
                missing.append(Outcome(str(ProductName(namespace, name, text)), ItemResult.FAILED, reason))
    return wanted, missing


def _use_caches(registry: Registry, config: Config, base: Path) -> list[Outcome]:
    """Keep the copies that are on this machine already; one that is not the remote's file is fetched as well."""
    for entry in config.read:
        path = base / Path(entry.use.cache).expanduser()
        if entry.use.cache and path.is_file():
            registry.files.add(path)
    return _missing_caches(config, base)


def _missing_caches(config: Config, base: Path) -> list[Outcome]:
    return [
        Outcome(entry.data_product, ItemResult.FAILED, f"there is no file {str(path)!r} to use as its cache")
        for entry in config.read
        if entry.use.cache and not (path := base / Path(entry.use.cache).expanduser()).is_file()
    ]


def _chosen(namespace: str, rows: Sequence[DataProductRow], text: str) -> dict[ProductName, DataProductRow]:
    """Return of each name the version that ``text`` means, leaving out names that do not have it."""
    names: dict[str, dict[str, DataProductRow]] = {}
    for row in rows:
        names.setdefault(row.name, {})[row.version] = row
    found: dict[ProductName, DataProductRow] = {}
    for name, versions in names.items():
        with suppress(InvalidInputError):
            version = resolve_version(text, versions, writing=False)
            found[ProductName(namespace, name, version)] = versions[version]
    return found


def plan_push(registry: Registry, remote: Endpoint) -> TransferSummary:
    """Return what `push` would do."""
    return Push(registry, remote).plan()


def push(
    registry: Registry, remote: Endpoint, *, at_once: int = AT_ONCE, progress: Progress = no_progress
) -> TransferSummary:
    """Send what was committed to a remote, with its provenance and its public files."""
    return Push(registry, remote, at_once=at_once).run(progress)


def update(
    registry: Registry,
    remote: Endpoint,
    *,
    dry_run: bool = False,
    at_once: int = AT_ONCE,
    progress: Progress = no_progress,
) -> TransferSummary:
    """Pull the newest version of every data product that is here."""
    transfer = Pull(registry, remote, at_once=at_once)
    wanted: dict[ProductName, DataProductRow] = {}
    for namespace, names in names_of(registry, registry.since(DataProductRow, 0)).items():
        wanted |= _chosen(namespace, remote.products(namespace, names), "${{LATEST}}")
    return transfer.plan(wanted) if dry_run else transfer.run(wanted, progress)
