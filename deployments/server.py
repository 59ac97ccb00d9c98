"""A Prefect server for a command: the one that runs, else one of its own for as long as it lives."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployments import environment
from multiblast.environment import HTTP_URL
from multiblast.errors import MultiblastError
from multiblast.orphans import start_with_parent

_START_LIMIT_S = 120
_PATIENCE_S = 0.3
_STOP_LIMIT_S = 10


class ServerError(MultiblastError, ConnectionError):
    """There is no Prefect server to work with."""


@dataclass(slots=True)
class PrefectServer:
    """A server that runs or is on its way."""

    api_url: str = ""  # ends in /api; empty if a Prefect profile of the user's says it
    process: subprocess.Popen[bytes] | None = None  # None if the server is not ours to stop
    starting: str = ""  # what is being waited for while it is on its way

    def wait(self, announce: Callable[[str], None]) -> None:
        """Return when the server answers, else raise; announce what is being waited for if it takes a moment."""
        if self.process is None:
            if self.api_url and not answers(self.api_url):
                raise ServerError(
                    f"no Prefect server answers at {self.api_url} (from PREFECT_API_URL); "
                    "start it, or unset PREFECT_API_URL to use one of our own"
                )
            return
        if not answers(self.api_url, timeout_s=_PATIENCE_S):
            announce(self.starting)
            # The socket is open from the start, so that one request simply waits for its answer.
            if not answers(self.api_url, timeout_s=_START_LIMIT_S):
                log = environment.log_file("temporary-server")
                raise ServerError(f"Prefect's temporary server did not start; see {log}")

    def stop(self) -> None:
        """End the server if it is ours; what it was still writing is written."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_prefect() -> PrefectServer:
    """Find a Prefect server or start a temporary one, at once and without waiting for it.

    Call it first of all: the server starts beside whatever is done until
    `PrefectServer.wait`, such as importing Prefect (which must come after this,
    since it reads its settings then). A temporary server ends with this process.
    """
    server = find_prefect()
    if server is None:
        server = temporary_server()
        # Registered before Prefect registers its own: so it runs after them, when they have sent their last words.
        atexit.register(server.stop)
        os.environ["PREFECT_API_URL"] = server.api_url
    _log_as_a_command()  # only now: the server's own lines are not a command's
    return server


def _log_as_a_command() -> None:
    os.environ.setdefault("PREFECT_LOGGING_CONFIG_PATH", str(Path(__file__).with_name("logging.yml")))


def find_prefect() -> PrefectServer | None:
    """Return the Prefect server to work with, before Prefect is imported; None if it takes one of our own."""
    environment.apply()
    if "PREFECT_PROFILE" in os.environ or "PREFECT_API_URL" in os.environ:
        return PrefectServer(os.environ.get("PREFECT_API_URL", ""))
    if api_url := running_server():
        use(api_url)
        return PrefectServer(api_url)
    return None


def use(api_url: str) -> None:
    """Let Prefect, which must not be imported yet, use a server that may be the one that ``make up`` started."""
    os.environ["PREFECT_API_URL"] = api_url
    if login := _login(api_url):
        os.environ["PREFECT_API_AUTH_STRING"] = login
    _log_as_a_command()


def running_server() -> str:
    """Return the API address of the server that ``make up`` started, if it answers; else nothing."""
    api_url = started_server()
    if not (api_url and answers(api_url)):
        return ""
    os.environ.setdefault(HTTP_URL, _started("http_url"))
    return api_url


def started_server() -> str:
    """Return the API address of the server that ``make up`` started, whether or not it answers; else nothing."""
    return _started("api_url")


def _started(fact: str) -> str:
    try:
        return str(json.loads((environment.prefect_home() / "up.json").read_text())[fact])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def authorization(api_url: str) -> dict[str, str]:
    """Return the header that a server asks for, if it does: by Prefect's own settings, or those of ``make up``."""
    if login := _login(api_url):
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
    key = os.environ.get("PREFECT_API_KEY", "")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _login(api_url: str) -> str:
    if (chosen := os.environ.get("PREFECT_API_AUTH_STRING", "")) or api_url != started_server():
        return chosen
    with suppress(OSError):
        return environment.login_file().read_text().strip()
    return ""


def answers(api_url: str, timeout_s: float = 5, path: str = "/health") -> bool:
    """Return whether a server at this address, by default Prefect's, answers within the time that all is well."""
    try:
        ask(api_url, path, timeout_s=timeout_s)
    except (OSError, ValueError):
        return False
    return True


def ask(api_url: str, path: str, body: Any = None, *, timeout_s: float = 5) -> Any:
    """Return what a Prefect server answers to GET, or to POST of a body; without Prefect, which is slow to import.

    Raises:
        OSError: no server answers in time, or not with what was asked for.
        ValueError: what it answers is no JSON.
    """
    import http.client  # here: where no server runs, nobody is asked, and with TLS it takes long

    parts = urlsplit(api_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        content = None if body is None else json.dumps(body)
        headers = {**authorization(api_url), **({"Content-Type": "application/json"} if content else {})}
        connection.request("POST" if content else "GET", parts.path.rstrip("/") + path, content, headers)
        response = connection.getresponse()
        if response.status not in {http.client.OK, http.client.CREATED}:
            raise ConnectionError(f"{api_url}{path} answers {response.status} {response.reason}")
        return json.load(response)
    except http.client.HTTPException as error:
        raise ConnectionError(f"{api_url}{path} answers with an error: {error}") from error
    finally:
        connection.close()


def temporary_server() -> PrefectServer:
    """Start a server of Prefect's with the database in ``PREFECT_HOME``, at once and without waiting for it."""
    # Looked up before its database is there.
    first = not (Path(os.environ["PREFECT_HOME"]) / "prefect.db").exists()
    how_long = "about 10 s this first time, while its database is made" if first else "about 3 s"
    starting = f"Starting Prefect, which keeps the record of the run ({how_long}; `make up` keeps it running)…"
    with socket.create_server(("127.0.0.1", 0)) as listener, environment.log_file("temporary-server").open("ab") as log:
        process = start_with_parent(
            [sys.executable, "-m", "deployments.temporary_server", str(listener.fileno())],
            cwd=environment.CHECKOUT,
            env={**os.environ, "PREFECT_SERVER_UI_ENABLED": "false"},
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            with_signal=signal.SIGTERM,
            start_new_session=True,  # Ctrl-C is for the command, which then still has something to tell the server
        )
        return PrefectServer(f"http://127.0.0.1:{listener.getsockname()[1]}/api", process, starting)
