"""The last run of a job: its command as people see it, and where its databases were."""

from __future__ import annotations

import re

from multiblast.database import QueryJob, Run
from multiblast.errors import NotFoundError
from multiblast.search.plugins import search_plugin
from multiblast.targets import Targets

_MADE_DATABASE = re.compile(r"/plugins/databases/[0-9a-f]{32}/")  # one that a search plugin searches in


def shown_command(job: QueryJob, run: Run | None) -> list[str]:
    """Return what a program was called with, the databases by their names.

    Raises:
        NotFoundError: the job has not run.
    """
    if run is None or not run.command:
        raise NotFoundError("run of query job", job.id, "wait until it runs")
    names = " ".join(
        f"{job.site}/{target['targetDisplayName']}/{target['targetFile']}" for target in job.recipe["targets"]
    )
    command = list(run.command)
    if search_plugin(job.program):
        return [names if _MADE_DATABASE.search(word) else word for word in command]
    command[command.index("-db") + 1] = names
    return [word.rpartition("/")[2] if word.startswith("/") else word for word in command]


def searched_databases(run: Run) -> str:
    """Return what BLAST+ was given as its databases; empty if another program searched."""
    return run.command[run.command.index("-db") + 1] if "-db" in run.command else ""


def other_root(targets: Targets, job: QueryJob, run: Run | None) -> str:
    """Return the targets root below which a job was searched, if that is another one than now; else nothing."""
    if run is None or "{build}" in targets.layout.pattern:
        return ""
    searched, roots = searched_databases(run), []
    for target in job.recipe["targets"]:
        directory = targets.layout.directory(job.site, target["targetDisplayName"])
        before, found, _ = searched.partition(f"/{directory}/{target['targetFile']}")
        roots += [before.lstrip('"')] if found else []
    # Of several, the shortest is of the one that is named first.
    root = min(roots, key=len, default="")
    return root if root != str(targets.root) else ""
