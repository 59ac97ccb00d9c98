"""``multiblast service``: servers and workers, what the Makefile and containers call (``python -m deployments``)."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from deployments import container, foreground, stack

app = typer.Typer(name="service", no_args_is_help=True, help="Start, stop and register Prefect servers and workers.")

_HIGHEST = 65_535
_MORE = 20  # ports that `up` may take from the first one on

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(help="Where Prefect's server listens.", min=1, max=_HIGHEST - _MORE)]


@app.command()
def up(
    port: Port = 4200,
    host: Host = "127.0.0.1",
    profile: Annotated[
        Literal["plain", "full"],
        typer.Option(help="full: with PostgreSQL, an S3 server and two workers, in the ten ports from PORT + 10 on."),
    ] = "plain",
) -> None:
    """Start a Prefect server with our blocks and flows, and a worker, in the background."""
    raise typer.Exit(stack.up(port, profile, host))


@app.command()
def down() -> None:
    """Stop what `up` started."""
    raise typer.Exit(stack.down())


@app.command()
def status() -> None:
    """Show what runs of what `up` started."""
    raise typer.Exit(stack.status())


@app.command()
def server(host: Host = "127.0.0.1", port: Port = 4200) -> None:
    """Run a Prefect server in the foreground."""
    raise typer.Exit(foreground.serve(host, port))


@app.command("all")
def serve_all(host: Host = "127.0.0.1", port: Port = 4200) -> None:
    """Run a Prefect server and a worker in the foreground."""
    raise typer.Exit(foreground.serve_all(host, port))


@app.command()
def worker(
    site: Annotated[
        str, typer.Option(help="Search for another installation, of which this machine is a site of this name.")
    ] = "",
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Take runs from this work queue only, as a plugin's table names one; may be repeated."),
    ] = None,
) -> None:
    """Run a worker of the server at PREFECT_API_URL in the foreground."""
    raise typer.Exit(foreground.work_for(site) if site else foreground.work(queue or ()))


@app.command("container")
def start_container() -> None:
    """Run what CONTAINER_MODE says (server, worker, web, register or all), with the plugins of GIT_PLUGINS."""
    raise typer.Exit(container.start())


@app.command()
def register() -> None:
    """Register our blocks and flows at the server at PREFECT_API_URL; may be repeated."""
    raise typer.Exit(foreground.register())


@app.command("web")
def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Where the service listens.", min=0, max=_HIGHEST)] = 4201,
) -> None:
    """Serve the HTTP API, in the foreground; its documentation is at /api."""
    raise typer.Exit(foreground.serve_web(host, port))
