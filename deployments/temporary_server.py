"""The process of a temporary Prefect server: ``python -m deployments.temporary_server LISTENING_FD PARENT_PID``."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments import environment
from multiblast.orphans import die_with_parent

__all__ = ["main"]


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock: two servers that migrate one database at once would break each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(listening_fd: int, parent_pid: int) -> None:
    """Serve Prefect's API on an inherited socket until told to end, or until the parent dies."""
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent_pid:  # it died before it could be watched
        return
    listener = socket.socket(fileno=listening_fd)

    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with _one_at_a_time(environment.prefect_home() / "starting.lock"):
                await super().startup(sockets)

    app = create_app(ephemeral=True, final=True)
    Server(uvicorn.Config(app, lifespan="on", log_level="warning", access_log=False)).run([listener])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
