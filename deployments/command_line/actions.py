"""``multiblast jobs``, ``reports`` and ``plugins``: a command for each action in the catalogue."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, get_args, get_origin

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Job, Json, User
from deployments.command_line.session import local_services, requester
from multiblast.actions.answers import Answer, PluginFile, ReportListedFile
from multiblast.actions.catalogue import Action, Parameter, actions_of
from multiblast.actions.job_door import ABANDONED
from multiblast.database import JobKind
from multiblast.errors import NotFoundError
from multiblast.ids import is_id
from multiblast.jobs import address_of

if TYPE_CHECKING:
    from multiblast.accounts import Requester
    from multiblast.services import Services

Group = Literal["jobs", "reports", "plugins"]
_TIME = timedelta | None
_FILES: dict[type[Answer], JobKind] = {ReportListedFile: JobKind.REPORT, PluginFile: JobKind.PLUGIN}
_IDS = {"job_id", "before_id", "query_job_id"}

GROUPS: tuple[Group, ...] = get_args(Group)

OTHER_NAMES = {"plugins": {"list": "jobs", "show": "job", "update": "describe"}}
"""What actions are called in a group whose commands of these names are about something else: plugins, not jobs."""


def door_of(group: Group) -> type:
    """Return the door whose actions are commands of a group; the others are not imported."""
    if group == "jobs":
        from multiblast.actions.queries import Queries as Door
    elif group == "reports":
        from multiblast.actions.reports import Reports as Door  # type: ignore[assignment]  # one or the other
    else:
        from multiblast.actions.plugin_jobs import PluginJobs as Door  # type: ignore[assignment]  # as above
    return Door


def add_actions(app: typer.Typer, group: Group) -> None:
    """Add a command for each action of a door, but those that have a command written by hand."""
    for one in actions_of(door_of(group)):
        if not one.command:
            app.command(OTHER_NAMES.get(group, {}).get(one.name, one.name))(_command(one, group))


def command_of(name: str, group: Group = "jobs") -> Callable[..., None]:
    """Return the command of an action, for another place where it is offered."""
    return next(_command(one, group) for one in actions_of(door_of(group)) if one.name == name)


def _command(one: Action, group: Group) -> Callable[..., None]:
    """Return the function from whose signature Typer makes the command."""
    options = {given.name: _option(one, given) for given in one.parameters if given.kind is not BinaryIO}
    signature = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
    signature.append(inspect.Parameter("user", inspect.Parameter.KEYWORD_ONLY, default="", annotation=User))
    if one.columns:
        signature.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json))

    def command(*, user: str, json: bool = False, **given: Any) -> None:
        services = local_services()
        who = requester(services, user)
        unknown = _complete_ids(services, who, given)
        answers = [
            getattr(door, one.method)(who, **_arguments(one, given)) for door in _doors(services, one, given, group)
        ]
        _print(one, answers, given, json=json)
        if one.name in {"list", "status"}:
            say_abandoned(services, _ids_in(answers))
        if "job_ids" in given:
            unknown += [job_id for job_id in given["job_ids"] if not any(job_id in answer for answer in answers)]
        if unknown:
            display.print_errors(f"no job {job_id!r} that you may see; check the id" for job_id in unknown)
            raise typer.Exit(1)

    command.__doc__ = _addressed(one.summary)
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]  # what Typer reads
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in signature}
    return command


def _addressed(text: str) -> str:
    """Return what an action's description says of its requester to the person at the terminal."""
    return text.replace("the requester's", "your").replace("the requester", "you")


def say_abandoned(services: Services, job_ids: Collection[str]) -> None:
    """Say on which of some jobs nobody works any more, and what to type; apart from what a command answers."""
    for job_id in sorted(services.queries.abandoned(job_ids)):
        display.say(f"{job_id}: {ABANDONED}: multiblast jobs restart {job_id:.8}")


def _ids_in(answers: list[Any]) -> set[str]:
    """Return the ids of jobs in lists, or in statuses by id."""
    listed = [one for answer in answers for one in answer]
    texts = [text for one in listed for text in (one.to_json().values() if isinstance(one, Answer) else [one])]
    return {text for text in texts if isinstance(text, str) and is_id(text)}


def _complete_ids(services: Services, who: Requester, given: dict[str, Any]) -> list[str]:
    """Replace beginnings of ids by the ids in what a command is given; of many, return those that begin none."""
    for name in _IDS & given.keys():
        given[name] = given[name] and services.whole_id(who, given[name])
    known, unknown = [], []
    for text in given.get("job_ids", ()):
        try:
            known.append(services.whole_id(who, text))
        except NotFoundError:
            unknown.append(text)
    if "job_ids" in given:
        given["job_ids"] = known
    return unknown


def _doors(services: Services, one: Action, given: dict[str, Any], group: Group) -> list[Any]:
    """Return the door of the job, whichever group the command is in; the doors of all kinds if there are many jobs."""
    if "job_id" in given and one.name in _names(door_of("jobs")):
        door = services.job_door(given["job_id"])
        if one.name in _names(type(door)):
            return [door]
    doors = {"jobs": "queries", "reports": "reports", "plugins": "plugin_jobs"}
    return [getattr(services, doors[name]) for name in (GROUPS if "job_ids" in given else (group,))]


def _names(door: type) -> set[str]:
    return {one.name for one in actions_of(door)}


def _option(one: Action, given: Parameter) -> tuple[Any, Any]:
    """Return how a parameter is written at a terminal, and its default."""
    spelling = [one.spelled[given.name]] if given.name in one.spelled else []
    text = _addressed(given.help)
    if given.name == "job_id":
        return Job, inspect.Parameter.empty
    if get_origin(given.kind) is Collection:
        return Annotated[list[str], typer.Argument(help=text, show_default=False)], inspect.Parameter.empty
    if given.is_required:
        return Annotated[given.kind, typer.Argument(help=text, show_default=False)], inspect.Parameter.empty
    if given.kind == _TIME:
        return Annotated[float, typer.Option(*spelling, help=f"{text} In days; 0 is for good.")], 0
    return Annotated[given.kind, typer.Option(*spelling, help=text)], given.default


def _arguments(one: Action, given: dict[str, Any]) -> dict[str, Any]:
    kinds = {parameter.name: parameter.kind for parameter in one.parameters}
    output = {name: sys.stdout.buffer for name, kind in kinds.items() if kind is BinaryIO}
    lasts = {name: timedelta(days=days) if days else None for name, days in given.items() if kinds[name] == _TIME}
    return {**given, **lasts, **output}


def _rows(answers: list[Answer], given: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of a table, and the columns that come to those of its action: of files also their address."""
    rows = [answer.to_json() for answer in answers]
    kind = next((_FILES[type(answer)] for answer in answers if type(answer) in _FILES), None)
    if not (kind and address_of(kind, given["job_id"])):
        return rows, []
    return [{**row, "address": address_of(kind, given["job_id"], "files", row["name"])} for row in rows], ["address"]


def _print(one: Action, answers: list[Any], given: dict[str, Any], *, json: bool) -> None:
    answer: Any = {key: value for part in answers for key, value in part.items()} if len(answers) > 1 else answers[0]
    if one.done:
        display.console.print(one.done.format(**given, answer=answer))
    elif one.name == "compare":
        from multiblast.actions.comparison import write_changes

        write_changes(answer.changes, sys.stdout)
        typer.echo(answer.text, err=True)
    elif isinstance(answer, str):
        typer.echo(answer)
    elif hasattr(answer, "read"):
        with answer:
            shutil.copyfileobj(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif isinstance(answer, list):
        rows, columns = _rows(answer, given)
        display.print_rows(rows, json=json, columns=(*one.columns, *columns))
    elif not isinstance(answer, int):  # the count of what was written to standard output
        display.print_json(answer.to_json() if isinstance(answer, Answer) else answer or {})
