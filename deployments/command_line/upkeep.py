"""Users, guests, health, metrics, expiry: what runs a service, at a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import GUEST_TOKEN, Json
from deployments.command_line.session import local_services
from multiblast.database import Database
from multiblast.errors import InvalidInputError, Problem
from multiblast.settings import home

guests = typer.Typer(no_args_is_help=True)
users = typer.Typer(no_args_is_help=True)


@guests.command("new")
def new() -> None:
    """Make a guest and print its token, which cannot be shown again; set it as MULTIBLAST_GUEST."""
    typer.echo(local_services().accounts.new_guest())


@guests.command("link")
def link(user: Annotated[str, typer.Argument(help="The user that the guest is.", show_default=False)]) -> None:
    """Give everything of the guest in MULTIBLAST_GUEST to a user; may be repeated."""
    token = os.environ.get(GUEST_TOKEN, "")
    if not token:
        raise InvalidInputError(Problem("set it to the guest's token", GUEST_TOKEN))
    linked = local_services().accounts.link_guest(token, user)
    display.console.print(f"{linked.moved} jobs moved to {user}, {linked.merged} were there already")


@users.command("token")
def make_token(
    user: Annotated[str, typer.Argument(help="Who it is for.", show_default=False)],
    name: Annotated[str, typer.Argument(help="What it is for, e.g. laptop.", show_default=False)],
    days: Annotated[float, typer.Option(help="For how long; 0 is until it is revoked.")] = 0,
) -> None:
    """Make a token for a user and print it; it cannot be shown again."""
    lasts = timedelta(days=days) if days else None
    typer.echo(local_services().accounts.tokens.make(user, name, lasts=lasts))


@users.command("list")
def list_tokens(
    user: Annotated[str, typer.Argument(help="Whose; by default everybody's.")] = "", json: Json = False
) -> None:
    """List tokens: whose, what for, until when, and when they were last used."""
    rows = [token.facts() for token in local_services().accounts.tokens.list(user)]
    display.print_rows(rows, json=json, columns=("user", "name", "created_at", "expires_at", "revoked_at", "used_at"))


@users.command("revoke")
def revoke_token(
    user: Annotated[str, typer.Argument(help="Whose.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Which; by default all.")] = "",
) -> None:
    """Revoke a token of a user, or all of them, at once."""
    revoked = local_services().accounts.tokens.revoke(user, name)
    display.console.print(f"{revoked} tokens of {user} are revoked")


def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
) -> None:
    """Remove results that nobody used for a time; the flow expire-results does it regularly. Prints JSON."""
    done = asdict(local_services().clean_up(dry_run=dry_run))
    display.print_json({name: what for name, what in done.items() if what is not None})


def verify(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Forget results that are damaged, or whose packs are missing unless most are."),
    ] = False,
    even_most: Annotated[
        bool, typer.Option("--even-most", help="With --repair, also if most are, as where the storage was lost.")
    ] = False,
    contents: Annotated[
        bool, typer.Option("--contents", help="Read all results, to find damaged ones: as long as to copy them.")
    ] = False,
) -> None:
    """List what is recorded and missing from the storage, as JSON; ends with code 1 if there is anything."""
    missing = local_services().storage_upkeep.verify(repair=repair, even_most=even_most, contents=contents)
    display.print_json(asdict(missing))
    if not missing.is_nothing:
        if (missing.packs or missing.damaged) and not repair:
            display.say("--repair forgets what is damaged or was in missing packs: it is searched when it is wanted")
        raise typer.Exit(1)


def accept_store() -> None:
    """Accept the configured store as the one with the results, though its mark is missing or different."""
    services = local_services()
    mark = services.store_mark.accept(services.store)
    display.say(
        f"{services.store!r} is the store now, by the mark {mark}; what it lacks is listed by multiblast verify, "
        "and forgotten, to be searched again, by multiblast verify --repair --even-most"
    )


def copy_records(
    source: Annotated[
        str, typer.Argument(help="The database to copy from: its URL, or an SQLite file. Default: that of this home.")
    ] = "",
    json: Json = False,
) -> None:
    """Copy the records of jobs and users to the database that is configured; what is there already stays."""
    from multiblast.transfer import copy_records as copy

    path = Path(source) if source else home() / "jobs.sqlite"
    if "://" not in source and not path.is_file():
        raise InvalidInputError(Problem(f"there is no file {str(path)!r}: name the database to copy from", "source"))
    with closing(Database(source if "://" in source else f"sqlite:///{path.absolute()}")) as records:
        copied = copy(records, local_services().database)
    rows = [{"table": name, "copied": count} for name, count in copied.items()]
    display.print_rows(rows, json=json, columns=("table", "copied"))
    display.say("The results themselves are copied by the flow copy-results.")


def ways(
    allow: Annotated[
        str, typer.Option("--allow", metavar="WAY", help="Switch a way on again, after you looked at its results.")
    ] = "",
    forget: Annotated[
        str,
        typer.Option(
            "--forget",
            metavar="WAY",
            help="Forget the results that were found by a way that is switched off: they are searched whole when they "
            "are wanted again.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """List the ways of searching only what is new of grown databases, and why some are switched off."""
    from multiblast.grown.way import TABLE

    services = local_services()
    if forget:
        count = services.refused_ways.forget(forget)
        display.say(f"Forgot {count:,} results; restart the jobs that `multiblast verify` lists.")
    if allow:
        services.refused_ways.allow(allow)
    refused = {row.way: row for row in services.refused_ways.list()}
    rows = [
        {
            "way": way,
            "state": "switched off" if (row := refused.get(way)) else "on" if services.policy.grown.enabled else "off",
            "since": row.at.isoformat() if row else "",
            "job": row.job_id if row else "",
            "reason": row.reason if row else "",
            "results": services.refused_ways.results(way),
        }
        for way in sorted({*TABLE, *refused})
    ]
    display.print_rows(rows, json=json, columns=("way", "state", "since", "job", "results", "reason"))


def health(json: Json = False) -> None:
    """Check whether each dependency is reachable, and how fast it is; ends with code 1 if one is not."""
    from deployments.diagnosis import check_server
    from deployments.server import running_server

    checks = local_services().health()
    if api_url := running_server():
        checks.append(check_server(api_url))
    rows = [asdict(check) for check in checks]
    display.print_rows(rows, json=json, columns=("name", "reachable", "latency_ms", "detail"))
    if not all(check.reachable for check in checks):
        raise typer.Exit(1)


def metrics() -> None:
    """Print the metrics in Prometheus' text format; `multiblast serve` has them at /metrics."""
    sys.stdout.write(local_services().metrics())
