"""``python -m deployments up|down|status``: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys

from deployments import up

__all__ = ["main"]


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start a Prefect server with our blocks and flows, and a worker")
    start.add_argument("--port", type=int, default=4200, help="where the server listens (4200)")
    commands.add_parser("down", help="stop them")
    commands.add_parser("status", help="say what of it runs")
    arguments = parser.parse_args()
    if arguments.command == "up":
        return up.up(arguments.port)
    return up.down() if arguments.command == "down" else up.status()


if __name__ == "__main__":
    sys.exit(main())
