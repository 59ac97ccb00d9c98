"""``multiblast sites`` and ``multiblast grant``: who elsewhere may fetch and push files."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from deployments.command_line import display
from deployments.command_line.arguments import Json
from deployments.command_line.session import local_services

sites = typer.Typer(no_args_is_help=True)

_GB = 10**9
_Name = Annotated[str, typer.Argument(help="The site.", show_default=False)]


@sites.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What to call it, e.g. the town.", show_default=False)],
    pool: Annotated[str, typer.Option(help="Its work pool in Prefect; by default called as the site.")] = "",
) -> None:
    """Add a site and print its key, which cannot be shown again: its machines need it as MULTIBLAST_SITE_KEY.

    They also need the address of the gateway, as MULTIBLAST_GATEWAY.
    """
    typer.echo(local_services().gateway.sites.add(name, pool))


@sites.command("list")
def list_sites(json: Json = False) -> None:
    """List sites: since when, and when their keys were last used."""
    rows = [site.facts() for site in local_services().gateway.sites.list()]
    display.print_rows(rows, json=json, columns=("name", "pool", "created_at", "used_at", "removed_at"))


@sites.command("remove")
def remove(name: _Name) -> None:
    """Revoke a site's key, and all that was granted for it, at once."""
    local_services().gateway.sites.remove(name)
    display.console.print(f"the key of {name} is revoked")


@sites.command("rotate")
def rotate() -> None:
    """Sign grants with a new key from now on; grants are good for ten minutes, so nothing needs to be restarted."""
    display.console.print(f"key {local_services().gateway.keys.rotate()} signs now")


def grant(
    read: Annotated[
        list[str] | None,
        typer.Option(help="A key, or a prefix that ends in /; / is everything. May be repeated."),
    ] = None,
    write: Annotated[list[str] | None, typer.Option(help="Likewise; what may be written may be read.")] = None,
    hours: Annotated[float, typer.Option(help="For how long.")] = 2,
    gb: Annotated[float, typer.Option(help="How much may be pushed in all, in GB.")] = 10,
    job: Annotated[str, typer.Option(help="Let the grant end with this job.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Let objects be replaced and removed.")] = False,
) -> None:
    """Sign a grant for a script and print it: what it may fetch and push through the gateway."""
    from multiblast.gateway import grant_of

    gateway = local_services().gateway
    ticket = gateway.tickets.make(
        site="",
        reads=read or [],
        writes=write or [],
        max_bytes=int(gb * _GB),
        lasts=timedelta(hours=hours),
        job_id=job,
        replaces=replace,
    )
    typer.echo(gateway.keys.sign(grant_of(ticket, hours * 3600)))
