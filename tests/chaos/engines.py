"""What runs jobs in a chaos test: workers of our own, or Prefect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from servers import BUCKET, ROOT, S3, PostgreSQL, Process
from sqlalchemy.exc import SQLAlchemyError

from multiblast.accounts import Requester
from multiblast.database import utc_now
from multiblast.errors import MultiblastError
from multiblast.search import Submission
from multiblast.services import Services
from multiblast.upkeep.reconciliation import Reconciliation, RunState
from tests.support.processes import is_running
from tests.support.servers import free_ports

__all__ = ["Engine", "PlainEngine", "PrefectEngine"]

_BLOCKS = """
import sys
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from blocks.database import JobDatabase
from blocks.storage import ResultStorage
url, endpoint, key, secret, bucket = sys.argv[1:]
credentials = AwsCredentials(aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1",
                             aws_client_parameters=AwsClientParameters(endpoint_url=endpoint))
S3Bucket(bucket_name=bucket, credentials=credentials).save("results")
ResultStorage(url="block:s3-bucket/results").save("default", overwrite=True)
JobDatabase(url=url).save("default", overwrite=True)
"""
_A_STOP_S = 60
_RECONCILE_S = 60
console = Console(highlight=False)


class Engine(ABC):
    """Runs jobs, over PostgreSQL and S3.

    Attributes:
        victims: What may be killed.
    """

    def __init__(self, directory: Path, postgres: PostgreSQL, s3: S3, targets: Path) -> None:
        self._directory, self._postgres, self._s3, self._targets = directory, postgres, s3, targets
        self.victims: list[Process] = [postgres, s3]

    @abstractmethod
    def start(self) -> None:
        """Start what runs jobs."""

    @abstractmethod
    def kills(self, seconds: float) -> int:
        """Return how often something is to be killed in a time."""

    @abstractmethod
    def submit(self, services: Services, submission: Submission) -> bool:
        """Submit a job; tell whether it was accepted."""

    @abstractmethod
    def has_failed(self, submission: Submission) -> bool:
        """Tell whether a submission's run has failed, so that whoever sent it is to send it again."""

    @abstractmethod
    def is_restarting(self) -> bool:
        """Tell whether runs that restart jobs wait or go on."""

    @abstractmethod
    def restart(self, services: Services, job_id: str) -> None:
        """Run a failed job again."""

    @abstractmethod
    def reconcile(self, services: Services) -> None:
        """Take jobs back from dead runs."""

    @abstractmethod
    def stop(self) -> None:
        """End in order, and in time."""

    def kill(self) -> None:
        """Leave nothing running."""
        for victim in self.victims[2:]:
            victim.kill()


class PlainEngine(Engine):
    """Two processes that take jobs from the database."""

    def start(self) -> None:
        self._runs = self._directory / "runs"
        self._runs.mkdir()
        places = [self._postgres.url("jobs", "psycopg"), self._s3.endpoint, *self._s3.keys, self._targets, self._runs]
        command = [sys.executable, str(Path(__file__).with_name("plain_worker.py")), *map(str, places)]
        workers = [Process(f"worker-{number}", command, self._directory) for number in (1, 2)]
        for worker in workers:
            worker.start()
        self.victims += workers

    def kills(self, seconds: float) -> int:
        return int(seconds / 2)

    def submit(self, services: Services, submission: Submission) -> bool:
        services.queries.submit(Requester(submission.owner), submission)
        return True

    def has_failed(self, submission: Submission) -> bool:  # noqa: ARG002 - the other engine asks it
        return False

    def is_restarting(self) -> bool:
        return False

    def restart(self, services: Services, job_id: str) -> None:
        services.queries.restart(services.accounts.requester("chaos"), job_id)

    def reconcile(self, services: Services) -> None:
        with suppress(MultiblastError, SQLAlchemyError):
            Reconciliation(services.database).run(self._states, utc_now() + timedelta(minutes=11))

    def stop(self) -> None:
        for worker in self.victims[2:]:
            worker.stop(_A_STOP_S)

    def _states(self, asked: set[str]) -> dict[str, RunState]:
        return {run: self._state(run) for run in asked}

    def _state(self, run: str) -> RunState:
        pid = run.partition("-")[0]
        with suppress(OSError, ValueError):
            if is_running(int(pid)):
                return RunState.RUNNING if (self._runs / pid).read_text() == run else RunState.ENDED
        return RunState.ENDED


class PrefectEngine(Engine):
    """Prefect's server on PostgreSQL, and a worker of it."""

    def start(self) -> None:
        [port], home = free_ports(1), self._directory / "home"
        self._api = f"http://127.0.0.1:{port}/api"
        self._postgres.create("prefect")
        foreign = ("PREFECT_", "MULTIBLAST_", "XDG_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HOME": str(home), "MULTIBLAST_HOME": str(home), "MULTIBLAST_CHECKOUT": str(ROOT)}
        environment["PREFECT_HOME"] = str(home / "prefect")
        database = {"PREFECT_API_DATABASE_CONNECTION_URL": self._postgres.url("prefect", "asyncpg")}
        ours, own = [sys.executable, "-m", "deployments"], self._directory
        server = [*ours, "server", "--port", str(port)]
        self._server = Process("server", server, own, environment | database, lambda: self._ask("/health"))
        environment["PREFECT_API_URL"] = self._api
        self._worker = Process("worker", [*ours, "worker"], own, environment)
        self.victims += [self._server, self._worker]
        self._server.start()
        subprocess.run([*ours, "register"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        places = [self._postgres.url("jobs", "psycopg"), self._s3.endpoint, *self._s3.keys, BUCKET]
        subprocess.run([sys.executable, "-c", _BLOCKS, *places], cwd=ROOT, env=environment, check=True)
        self._worker.start()
        self._reconciled = 0.0
        self._sent: list[tuple[Submission, str]] = []

    def kills(self, seconds: float) -> int:
        return int(seconds / 20)

    def submit(self, services: Services, submission: Submission) -> bool:  # noqa: ARG002 - the other engine asks them
        targets = [f"{submission.site}/{target.display}/{target.file}" for target in submission.targets]
        search = {"program": submission.options.program, "options": dict(submission.options.changed())}
        parameters = {"query": submission.query, "targets": targets, "user": submission.owner, **search}
        self._sent.append((submission, self._run("submit-query", parameters)))
        return True

    def has_failed(self, submission: Submission) -> bool:
        run = next((run for sent, run in reversed(self._sent) if sent == submission), None)
        with suppress(OSError):
            return run is None or self._ask(f"/flow_runs/{run}")["state_type"] == "FAILED"
        return False

    def is_restarting(self) -> bool:
        state = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
        wanted = {"flow_runs": {"state": state}, "flows": {"name": {"any_": ["restart-job"]}}}
        with suppress(OSError):
            return bool(self._ask("/flow_runs/count", wanted))
        return True

    def restart(self, services: Services, job_id: str) -> None:  # noqa: ARG002 - the other engine asks them
        self._run("restart-job", {"job": job_id, "user": "chaos"})

    def reconcile(self, services: Services) -> None:  # noqa: ARG002 - the other engine asks them
        if time.monotonic() - self._reconciled > _RECONCILE_S:
            self._reconciled = time.monotonic()
            with suppress(OSError):
                self._run("reconcile-jobs", {})

    def stop(self) -> None:
        """Let the worker end when its server has died: it must not wait for it."""
        self._server.kill()
        console.print(f"  the worker ended {self._worker.stop(_A_STOP_S):.0f} s after SIGTERM, without a server")

    def _run(self, deployment: str, parameters: dict[str, Any]) -> str:
        found = self._ask(f"/deployments/name/{deployment}/{deployment}")
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "idempotency_key": uuid4().hex}
        return str(self._ask(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(self._api + path)  # noqa: S310 - of our own server
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.load(answer)
