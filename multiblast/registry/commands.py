"""What a person does with a registry: one function a command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from multiblast.registry.config.schema import Config
from multiblast.registry.config.working import Working, examine, load_config, matches, one_each, resolve
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.rows import End, Row
from multiblast.registry.remotes.bindings import Binding, Secrets
from multiblast.registry.remotes.connection import Limits
from multiblast.registry.runs.execution import NOTHING_TO_RUN, Done, run_working
from multiblast.registry.runs.queries import Queries
from multiblast.registry.sync.pull import PULL_AT_ONCE, Pull
from multiblast.registry.sync.push import Push
from multiblast.registry.sync.registration import entry_name, register, registered_entries
from multiblast.registry.sync.transfer import Outcome, Report, Result, product_name

__all__ = ["generate", "plan_pull", "plan_push", "plan_run", "pull", "push", "run", "update"]

Progress = Callable[[Outcome], None]


def _quiet(_outcome: Outcome) -> None:
    """Tell nobody."""


def generate(  # noqa: PLR0913 - what, where to, and how
    config: Path,
    target: Path,
    registry: Registry,
    user: Binding,
    *,
    queries: Queries | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
) -> Working:
    """Write the working configuration alone; a dry run only returns it.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    working = resolve(config, registry, user, now, queries=queries)
    if not dry_run:
        target.write_text(working.text, "utf-8")
    return working


def plan_pull(config: Path, registry: Registry, remote: End, user: Binding) -> Report:
    """Say what `pull` would do."""
    before = remote.requests
    loaded, _, _ = load_config(config, registry, user)
    wanted, namespaces, missing = _wanted(loaded, registry, remote)
    report = Pull(registry, remote).plan(wanted, namespaces)
    report.outcomes += missing
    for entry in registered_entries(loaded):
        namespace, name, text = entry_name(entry, loaded)
        report.outcomes.append(Outcome(product_name(namespace, name, text), Result.PLANNED, "to be registered"))
    report.requests = remote.requests - before
    return report


def pull(  # noqa: PLR0913 - what, from where to where, and how
    config: Path,
    registry: Registry,
    remote: End,
    user: Binding,
    *,
    at_once: int = PULL_AT_ONCE,
    all_files: bool = False,
    limits: Limits | None = None,
    progress: Progress = _quiet,
) -> Report:
    """Bring what a configuration reads and registers into the local registry, with its provenance.

    Raises:
        InvalidInputError: the configuration, with all problems.
    """
    before = remote.requests
    loaded, _, _ = load_config(config, registry, user)
    base = config.absolute().parent
    registered = [*register(registry, loaded, base, limits), *_use_caches(registry, loaded, base)]
    wanted, namespaces, missing = _wanted(loaded, registry, remote)
    report = Pull(registry, remote, at_once=at_once, all_files=all_files).run(wanted, namespaces, progress)
    report.outcomes = [*registered, *report.outcomes, *missing]
    report.requests = remote.requests - before
    return report


def _wanted(config: Config, registry: Registry, remote: End) -> tuple[list[Row], dict[str, str], list[Outcome]]:
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
    asked: dict[str, set[str]] = {}
    for namespace, name, _ in entries:
        asked.setdefault(namespace, set()).add(name)
    there = {namespace: remote.products(namespace, sorted(names)) for namespace, names in asked.items()}
    made_here = _made_here(config)
    wanted: dict[str, Row] = {}
    namespaces: dict[str, str] = {}
    missing: list[Outcome] = []
    for namespace, name, text in entries:
        chosen = _chosen([row for row in there[namespace] if matches(name, row.fields["name"])], text)
        for row in chosen:
            wanted[row.reference], namespaces[row.fields["namespace"]] = row, namespace
        if not chosen and (namespace, name) not in made_here:
            local = [row for row in registry.products(namespace, [name]) if matches(name, row.fields["name"])]
            if not _chosen(local, text):
                reason = f"neither {remote.name} nor the local registry has it"
                missing.append(Outcome(product_name(namespace, name, text), Result.FAILED, reason))
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
            missing.append(Outcome(entry.data_product, Result.FAILED, reason))
    return missing


def _chosen(rows: Sequence[Row], text: str) -> list[Row]:
    names: dict[str, dict[str, Row]] = {}
    for row in rows:
        names.setdefault(row.fields["name"], {})[row.fields["version"]] = row
    return [names[name][version] for name, version in one_each(names, text).items()]


def run(  # noqa: PLR0913 - as pull
    config: Path,
    registry: Registry,
    user: Binding,
    *,
    queries: Queries | None = None,
    timeout_s: float = 0,
    now: datetime | None = None,
) -> Done:
    """Resolve a configuration, run its script or its query, and record the code run.

    Args:
        config: The configuration.
        registry: The local one.
        user: Who runs it.
        queries: Runs a query, if the configuration describes one: `Services.registered_queries`.
        timeout_s: Wall-clock limit of a script in seconds; 0 is none.
        now: The time that variables stand for.

    Raises:
        InvalidInputError: the configuration, with all problems.
        ProgramError: the script failed.
        ConflictError: an output's version exists with another content.
    """
    working = resolve(config, registry, user, now, queries=queries)
    return run_working(registry, working, user, queries=queries, timeout_s=timeout_s)


def plan_run(
    config: Path, registry: Registry, user: Binding, *, queries: Queries | None = None, now: datetime | None = None
) -> Report:
    """Say what `run` would do: what is run, which inputs are here and which are not, what comes of it.

    Raises:
        InvalidInputError: what is wrong with the configuration, whatever there is in the registry.
    """
    started = time.monotonic()
    working, problems = examine(config, registry, user, now, queries=queries)
    here = registry.files.holding(one.sha1 for one in working.inputs)
    report = Report([_task(working)])
    for one in working.inputs:
        if kept := here.get(one.sha1):
            report.outcomes.append(Outcome(str(one.name), Result.KNOWN, f"read as {one.alias}", kept.size_bytes))
        else:
            report.outcomes.append(Outcome(str(one.name), Result.FAILED, "its file is not here: pull it first"))
    report.outcomes += [Outcome(one.key, Result.FAILED, f"line {one.line}: {one.message}") for one in problems]
    report.outcomes += [Outcome(str(one.name), Result.PLANNED, f"written as {one.alias}") for one in working.outputs]
    report.seconds = time.monotonic() - started
    return report


def _task(working: Working) -> Outcome:
    """Return what would be run."""
    search = working.search
    if working.script is not None:
        return Outcome("script", Result.PLANNED, f"{working.metadata.shell}: {working.script.strip()}")
    if search is None:
        return Outcome("script", Result.FAILED, NOTHING_TO_RUN)
    targets = [f"{name} ({search.fingerprints.get(name, 'not found')})" for name in search.targets]
    return Outcome(
        "search", Result.PLANNED, f"{search.program} of {search.query} in {', '.join([*targets, *search.databases])}"
    )


def plan_push(registry: Registry, remote: End) -> Report:
    """Say what `push` would do."""
    return Push(registry, remote).plan()


def push(registry: Registry, remote: End, *, at_once: int = PULL_AT_ONCE, progress: Progress = _quiet) -> Report:
    """Send what was committed to a remote, with its provenance and its public files."""
    secrets = [*Secrets(registry.directory).all(), *remote.secrets]
    return Push(registry, remote, secrets=secrets, at_once=at_once).run(progress=progress)


def update(
    registry: Registry, remote: End, *, dry_run: bool = False, at_once: int = PULL_AT_ONCE, progress: Progress = _quiet
) -> Report:
    """Pull the newest version of every data product that is here."""
    before = remote.requests
    products = registry.since("data_product", 0)
    spaces = {
        row.reference: row.fields["name"]
        for row in registry.read("namespace", {row.fields["namespace"] for row in products})
    }
    names: dict[str, set[str]] = {}
    for row in products:
        names.setdefault(spaces[row.fields["namespace"]], set()).add(row.fields["name"])
    wanted: list[Row] = []
    namespaces: dict[str, str] = {}
    for namespace, some in sorted(names.items()):
        for row in _chosen(remote.products(namespace, sorted(some)), "${{LATEST}}"):
            wanted.append(row)
            namespaces[row.fields["namespace"]] = namespace
    one = Pull(registry, remote, at_once=at_once)
    report = one.plan(wanted, namespaces) if dry_run else one.run(wanted, namespaces, progress)
    report.requests = remote.requests - before
    return report
