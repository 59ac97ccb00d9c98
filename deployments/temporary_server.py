"""Prefect's server for one command, without services and pages, on an inherited socket.

``python -m deployments.temporary_server LISTENING_FD``
"""

from __future__ import annotations

import gc
import socket
import sys

from deployments.garbage import collect_rarely


def main() -> None:
    """Serve on an inherited socket until asked to stop."""
    # It lives for seconds, and what it imports stays: to look through that again and again took a fifth of its time.
    gc.disable()
    from deployments.prefect_server import serve

    collect_rarely()
    serve(temporary=True, sockets=[socket.socket(fileno=int(sys.argv[1]))])
    gc.freeze()


if __name__ == "__main__":
    main()
