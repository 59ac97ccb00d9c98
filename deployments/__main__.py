"""``python -m deployments``: what the Makefile and containers call."""

from __future__ import annotations

import argparse
import sys

from deployments import foreground, stack
from deployments.server import ServerError

__all__ = ["main"]


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start a Prefect server with our blocks and flows, and a worker")
    start.add_argument("--port", type=int, default=4200, help="where the server listens (4200)")
    start.add_argument("--host", default="127.0.0.1", help="the address that servers listen on (127.0.0.1)")
    text = "full: with PostgreSQL, an S3 server and two workers, in the ten ports from ten above the server's on"
    start.add_argument("--profile", choices=("plain", "full"), default="plain", help=text)
    commands.add_parser("down", help="stop them")
    commands.add_parser("status", help="show what of it runs")
    for name, text in (("server", "be a Prefect server"), ("all", "be a Prefect server with a worker")):
        foreground = commands.add_parser(name, help=f"{text}, in the foreground")
        foreground.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
        foreground.add_argument("--port", type=int, default=4200, help="where the server listens (4200)")
    commands.add_parser("register", help="register our blocks and flows at the server at PREFECT_API_URL")
    commands.add_parser("worker", help="be a worker of the server at PREFECT_API_URL, in the foreground")
    arguments = parser.parse_args()
    try:
        return _run(arguments)
    except ServerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            return stack.up(arguments.port, arguments.profile, arguments.host)
        case "server":
            return foreground.serve(arguments.host, arguments.port)
        case "all":
            return foreground.serve_all(arguments.host, arguments.port)
    commands = {"down": stack.down, "status": stack.status, "register": foreground.register, "worker": foreground.work}
    return commands[arguments.command]()


if __name__ == "__main__":
    sys.exit(main())
