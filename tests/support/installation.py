"""An installation that `make up` starts, in a home of its own: what tests do with it, and ask of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3

from multiblast.stores.s3 import S3Store, connect
from tests.support.places import ROOT
from tests.support.processes import unset_environment
from tests.support.servers import free_stack_port

__all__ = ["Installation"]


class Installation:
    """A home and ports of its own, with the commands that `make up` and `make down` run."""

    def __init__(self, home: Path, host: str = "127.0.0.1", profile: str = "plain") -> None:
        self.home, self.host, self.profile, self.port = home, host, profile, free_stack_port(host)
        self.url = f"http://{host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**unset_environment(), "HOME": str(self.home), "MULTIBLAST_HOME": str(self.home / "data")}

    def popen(self, *command: str) -> subprocess.Popen[str]:
        options = ["--port", str(self.port), "--host", self.host, "--profile", self.profile]
        arguments = [*command, *options] if command == ("up",) else command
        return subprocess.Popen(
            [sys.executable, "-m", "deployments", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        with self.popen(*command) as process:
            output, _ = process.communicate(timeout=600)
        return process.returncode, output

    @property
    def processes(self) -> dict[str, int]:
        try:
            kept = json.loads((self.home / "data" / "prefect" / "up.json").read_text())
        except FileNotFoundError:
            return {}
        return {process["name"]: process["pid"] for process in kept["processes"]}

    @property
    def pids(self) -> list[int]:
        return list(self.processes.values())

    @property
    def database_url(self) -> str:
        """The job database's."""
        password = json.loads((self.home / "data" / "own-servers.json").read_text())["postgres"]
        return f"postgresql+psycopg://multiblast:{password}@{self.host}:{self.port + 10}/multiblast"

    def store(self) -> S3Store:
        """The result storage."""
        kept = json.loads((self.home / "data" / "own-servers.json").read_text())
        session = boto3.session.Session(kept["s3_key"], kept["s3_secret"], region_name="us-east-1")
        return S3Store(connect(session, endpoint_url=f"http://{self.host}:{self.port + 11}"), "multiblast")

    @property
    def password(self) -> str:
        """What Prefect's pages ask for; nothing in the plain profile."""
        file = self.home / "data" / "prefect" / "login"
        return file.read_text() if file.exists() else ""

    @property
    def login(self) -> dict[str, str]:
        """The header that Prefect's API asks for."""
        login = base64.b64encode(self.password.encode()).decode()
        return {"Authorization": f"Basic {login}"} if login else {}

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        content = None if method == "GET" else json.dumps(body or {}).encode()
        headers, url = {"Content-Type": "application/json", **self.login}, f"{self.url}/api{path}"
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 - of our own server
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            return json.load(response) if response.status != HTTPStatus.NO_CONTENT else None

    def start(self, deployment: str, queue: str | None = None, **parameters: Any) -> str:
        """Start a deployment as the UI does; return the flow run's id."""
        found = self.ask(f"/deployments/name/{deployment}/{deployment}", method="GET")
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "work_queue_name": queue}
        return str(self.ask(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def wait(self, run: str, limit_s: float = 120) -> dict[str, Any]:
        """Wait for the end of a flow run; return it."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.ask(f"/flow_runs/{run}", method="GET")
            if found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
                return found
            time.sleep(0.2)
        raise TimeoutError(found["state_type"])

    def runs(self, **conditions: Any) -> list[dict[str, Any]]:
        """Return the flow runs of some conditions."""
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", {"flow_runs": conditions})
        return found

    def artifact(self, run: str, word: str) -> str:
        """Return the text of a run's artifact by the first word of its key."""
        found = self.ask("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return str(next(artifact["data"] for artifact in found if (artifact["key"] or "").startswith(word)))

    def call_large(self, seconds: int) -> None:
        """Let the policy call jobs large that take so long."""
        block = self.ask("/block_types/slug/blast-service-policy/block_documents/name/default", method="GET")
        policy = block["data"]["policy"] | {"large_job_s": seconds}
        change = {"data": block["data"] | {"policy": policy}, "block_schema_id": block["block_schema_id"]}
        self.ask(f"/block_documents/{block['id']}", change, "PATCH")
