"""``multiblast jobs``, and its short forms ``show``, ``status`` and ``cancel``."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from deployments.command_line import display
from deployments.command_line.actions import add_actions, command_of, say_abandoned
from deployments.command_line.arguments import Job, Json, TargetsRoot, User
from deployments.command_line.session import Session, local_services, requester
from multiblast.files import own_scratch
from multiblast.outages import patiently
from multiblast.results.holders import new_process_run

_ALIASES = {"lookup": "show", "ls": "list", "stop": "cancel"}


class Actions(TyperGroup):
    """Knows commands by the names that people guess, too."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name or another for it."""
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))


jobs = typer.Typer(cls=Actions, no_args_is_help=True)
add_actions(jobs, "jobs")
status = command_of("status")
cancel = command_of("cancel")


def show(job: Job, user: User = "", json: Json = False) -> None:
    """Show a job: one row per sequence; of a report or a plugin, what it was made of, and what it made."""
    services = local_services()
    who = requester(services, user)
    job = services.whole_id(who, job)
    door = services.job_door(job)
    details = door.lookup(who, job, link=False)
    say_abandoned(services, [job])
    if door.kind != "query":
        display.print_json(details.to_json())
        return
    found = services.queries.searched_job(job)
    if json:
        display.print_json(found)
    else:
        display.searched_job(found)


@jobs.command("restart")
def restart(job: Job, targets_root: TargetsRoot = None, user: User = "") -> None:
    """Run a job again that expired, failed, was cancelled or lost its process, with the databases as they are now."""
    running = Session(targets_root, user, early=False)
    job = running.services.whole_id(running.requester, job)
    kind = running.services.job_door(job).kind
    if running.works_here and not running.services.policy.provenance and (kind == "query" or running.is_alone):
        job = _restart_here(running, kind, job)
    else:
        with own_scratch(), running.connected(display.searching()):
            from flows.control_job import restart_job

            job = running.run(lambda: restart_job(job=job, user=running.user))
    if kind == "query":
        display.searched_job(running.services.queries.searched_job(job))
    else:
        display.console.print(f"{kind} job {job} is complete")


def _restart_here(running: Session, kind: str, job_id: str) -> str:
    """Restart a job without Prefect, which takes seconds to import, and more to serve; return its id."""
    if kind == "query":
        from deployments.command_line.search import search_again

        return search_again(running, job_id).job_id
    services, who = running.services, running.requester
    if kind == "plugin":
        from deployments.command_line.plugin_runs import run_again

        return run_again(services, who, job_id)
    services.reports.restart(who, job_id)
    with display.working("Formatting …"), own_scratch():
        patiently(services.reports.run(job_id, run_id=new_process_run()).execute)
    return job_id
