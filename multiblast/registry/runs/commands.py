"""Resolving and running a configuration, as people ask for it."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from multiblast.registry.config.searches import QueryRunner
from multiblast.registry.config.working_config import WorkingConfig, examine, resolve
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.runs.execution import NOTHING_TO_RUN, UNCOMMITTED, RunSummary, run_working
from multiblast.registry.sync.summary import ItemResult, Outcome, TransferSummary


def generate(  # noqa: PLR0913 - what, where to, and how
    config: Path,
    target: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    now: datetime | None = None,
    dry_run: bool = False,
) -> WorkingConfig:
    """Write the working configuration alone; a dry run only returns it.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    working = resolve(config, registry, user, now, queries=queries)
    if not dry_run:
        target.write_text(working.text, "utf-8")
    return working


def run(  # noqa: PLR0913 - as pull
    config: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    timeout_s: float = 0,
    now: datetime | None = None,
    dirty: bool = False,
) -> RunSummary:
    """Resolve a configuration, run its script or its query, and record the code run.

    Args:
        config: The configuration.
        registry: The local one.
        user: Who runs it.
        queries: Runs a query, if the configuration describes one: `Services.registered_queries`.
        timeout_s: Wall-clock limit of a script in seconds; 0 is none.
        now: The time that variables stand for.
        dirty: Run code with uncommitted changes too; no commit is recorded then.

    Raises:
        InvalidInputError: the configuration, with all problems.
        ProgramError: the script failed.
        ConflictError: the code has uncommitted changes, or an output's version exists with another content.
    """
    working = resolve(config, registry, user, now, queries=queries)
    return run_working(registry, working, user, queries=queries, timeout_s=timeout_s, dirty=dirty)


def plan_run(  # noqa: PLR0913 - as run
    config: Path,
    registry: Registry,
    user: RegistryUser,
    *,
    queries: QueryRunner | None = None,
    now: datetime | None = None,
    dirty: bool = False,
) -> TransferSummary:
    """Say what `run` would do: what is run, which inputs are here and which are not, what comes of it.

    Raises:
        InvalidInputError: what is wrong with the configuration, whatever there is in the registry.
    """
    started = time.monotonic()
    working, problems = examine(config, registry, user, now, queries=queries)
    here = registry.files.holding(one.sha1 for one in working.inputs)
    report = TransferSummary([_task(working)])
    if working.is_dirty and not dirty:
        report.outcomes.append(Outcome("code", ItemResult.FAILED, UNCOMMITTED))
    for one in working.inputs:
        if kept := here.get(one.sha1):
            report.outcomes.append(Outcome(str(one.name), ItemResult.KNOWN, f"read as {one.alias}", kept.size_bytes))
        else:
            report.outcomes.append(Outcome(str(one.name), ItemResult.FAILED, "its file is not here: pull it first"))
    report.outcomes += [Outcome(one.key, ItemResult.FAILED, f"line {one.line}: {one.message}") for one in problems]
    report.outcomes += [
        Outcome(str(one.name), ItemResult.PLANNED, f"written as {one.alias}") for one in working.outputs
    ]
    report.seconds = time.monotonic() - started
    return report


def _task(working: WorkingConfig) -> Outcome:
    """Return what would be run."""
    search = working.search
    if working.script is not None:
        return Outcome("script", ItemResult.PLANNED, f"{working.metadata.shell}: {working.script.strip()}")
    if search is None:
        return Outcome("script", ItemResult.FAILED, NOTHING_TO_RUN)
    targets = [f"{name} ({search.fingerprints.get(name, 'not found')})" for name in search.targets]
    return Outcome(
        "search",
        ItemResult.PLANNED,
        f"{search.program} of {search.query} in {', '.join([*targets, *search.databases])}",
    )
