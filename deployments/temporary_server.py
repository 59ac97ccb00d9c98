"""A temporary Prefect server on an inherited socket: ``python -m deployments.temporary_server LISTENING_FD``."""

from __future__ import annotations

import fcntl
import socket
import sys

import uvicorn
from prefect.server.api.server import create_app

from deployments import environment


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start while no other does: two servers that migrate one database at once would break each other."""
        with (environment.prefect_home() / "starting.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            await super().startup(sockets)


if __name__ == "__main__":
    app = create_app(ephemeral=True, final=True)
    config = uvicorn.Config(app, lifespan="on", log_level="warning", access_log=False)
    _Server(config).run([socket.socket(fileno=int(sys.argv[1]))])
