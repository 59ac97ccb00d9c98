"""Pull, push and update, as people ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiblast.registry.config.schema import Config, entry_name, registered_entries
from multiblast.registry.config.working_config import load_config, matches, one_each
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser, Secrets
from multiblast.registry.model.names import product_name
from multiblast.registry.model.rows import DataProductRow, Endpoint, NamespaceRow
from multiblast.registry.remotes.connection import RetryPolicy
from multiblast.registry.sync.file_fetcher import PULL_AT_ONCE
from multiblast.registry.sync.pull import Pull
from multiblast.registry.sync.push import Push
from multiblast.registry.sync.registration import register
from multiblast.registry.sync.summary import ItemResult, Outcome, Progress, TransferSummary, no_progress


def plan_pull(config: Path, registry: Registry, remote: Endpoint, user: RegistryUser) -> TransferSummary:
    """Say what `pull` would do."""
    before = remote.requests
    loaded, _, _ = load_config(config, registry, user)
    wanted, namespaces, missing = _wanted(loaded, registry, remote)
    summary = Pull(registry, remote).plan(wanted, namespaces)
    summary.outcomes += missing
    for entry in registered_entries(loaded):
        namespace, name, text = entry_name(entry, loaded)
        summary.outcomes.append(Outcome(product_name(namespace, name, text), ItemResult.PLANNED, "to be registered"))
    summary.requests = remote.requests - before
    return summary


def pull(  # noqa: PLR0913 - what, from where to where, and how
    config: Path,
    registry: Registry,
    remote: Endpoint,
    user: RegistryUser,
    *,
    at_once: int = PULL_AT_ONCE,
    all_files: bool = False,
    limits: RetryPolicy | None = None,
    progress: Progress = no_progress,
) -> TransferSummary:
    """Bring what a configuration reads and registers into the local registry, with its provenance.

    Raises:
        InvalidInputError: the configuration, with all problems.
    """
    before = remote.requests
    loaded, _, _ = load_config(config, registry, user)
    base = config.absolute().parent
    registered = [*register(registry, loaded, base, limits), *_use_caches(registry, loaded, base)]
    wanted, namespaces, missing = _wanted(loaded, registry, remote)
    summary = Pull(registry, remote, at_once=at_once, all_files=all_files).run(wanted, namespaces, progress)
    summary.outcomes = [*registered, *summary.outcomes, *missing]
    summary.requests = remote.requests - before
    return summary


def _wanted(
    config: Config, registry: Registry, remote: Endpoint
) -> tuple[list[DataProductRow], dict[str, str], list[Outcome]]:
    """Return the data products to pull, the names of their namespaces, and what is nowhere."""
    metadata = config.run_metadata
    entries = [
        (
            entry.use.namespace or metadata.default_input_namespace,
            entry.use.data_product or entry.data_product,
            entry.use.version or metadata.default_read_version,
        )
        for entry in config.read
    ]
    wanted_names: dict[str, set[str]] = {}
    for namespace, name, _ in entries:
        wanted_names.setdefault(namespace, set()).add(name)
    there = {namespace: remote.products(namespace, sorted(names)) for namespace, names in wanted_names.items()}
    made_here = _made_here(config)
    wanted: dict[str, DataProductRow] = {}
    namespaces: dict[str, str] = {}
    missing: list[Outcome] = []
    for namespace, name, text in entries:
        chosen = _chosen([row for row in there[namespace] if matches(name, row.name)], text)
        for row in chosen:
            wanted[row.reference], namespaces[row.namespace] = row, namespace
        if not chosen and (namespace, name) not in made_here:
            local = [row for row in registry.products(namespace, [name]) if matches(name, row.name)]
            if not _chosen(local, text):
                reason = f"neither {remote.name} nor the local registry has it"
                missing.append(Outcome(product_name(namespace, name, text), ItemResult.FAILED, reason))
    return list(wanted.values()), namespaces, missing


def _made_here(config: Config) -> set[tuple[str, str]]:
    """Return namespace and name of what a configuration registers or writes."""
    registered = {entry_name(entry, config)[:2] for entry in registered_entries(config)}
    default = config.run_metadata.default_output_namespace
    return registered | {
        (one.use.namespace or default, one.use.data_product or one.data_product) for one in config.write
    }


def _use_caches(registry: Registry, config: Config, base: Path) -> list[Outcome]:
    """Keep the copies that are on this machine already; one that is not the remote's file is fetched as well."""
    missing: list[Outcome] = []
    for entry in config.read:
        path = base / Path(entry.use.cache).expanduser()
        if entry.use.cache and path.is_file():
            registry.files.add(path)
        elif entry.use.cache:
            reason = f"there is no file {str(path)!r} to use as its cache"
            missing.append(Outcome(entry.data_product, ItemResult.FAILED, reason))
    return missing


def _chosen(rows: Sequence[DataProductRow], text: str) -> list[DataProductRow]:
    names: dict[str, dict[str, DataProductRow]] = {}
    for row in rows:
        names.setdefault(row.name, {})[row.version] = row
    return [names[name][version] for name, version in one_each(names, text).items()]


def plan_push(registry: Registry, remote: Endpoint) -> TransferSummary:
    """Say what `push` would do."""
    return Push(registry, remote).plan()


def push(
    registry: Registry, remote: Endpoint, *, at_once: int = PULL_AT_ONCE, progress: Progress = no_progress
) -> TransferSummary:
    """Send what was committed to a remote, with its provenance and its public files."""
    secrets = [*Secrets(registry.directory).all(), *remote.secrets]
    return Push(registry, remote, secrets=secrets, at_once=at_once).run(progress=progress)


def update(
    registry: Registry,
    remote: Endpoint,
    *,
    dry_run: bool = False,
    at_once: int = PULL_AT_ONCE,
    progress: Progress = no_progress,
) -> TransferSummary:
    """Pull the newest version of every data product that is here."""
    before = remote.requests
    products = registry.since(DataProductRow, 0)
    spaces = {row.reference: row.name for row in registry.read(NamespaceRow, {row.namespace for row in products})}
    names: dict[str, set[str]] = {}
    for row in products:
        names.setdefault(spaces[row.namespace], set()).add(row.name)
    wanted: list[DataProductRow] = []
    namespaces: dict[str, str] = {}
    for namespace, some in sorted(names.items()):
        for row in _chosen(remote.products(namespace, sorted(some)), "${{LATEST}}"):
            wanted.append(row)
            namespaces[row.namespace] = namespace
    one = Pull(registry, remote, at_once=at_once)
    summary = one.plan(wanted, namespaces) if dry_run else one.run(wanted, namespaces, progress)
    summary.requests = remote.requests - before
    return summary
