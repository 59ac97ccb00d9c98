"""What a Prefect server must know before it is of use: our blocks, a work pool, our deployments."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta

import yaml
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType, WorkerStatus
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

import blocks
from deployments import environment
from deployments.server import ServerError

__all__ = [
    "POOL",
    "block_classes",
    "create_pool",
    "deploy",
    "offer_databases",
    "register_blocks",
    "watch_runs",
    "worker_is_online",
]

POOL = "search"
_SILENT_FOR_S = 120  # four heartbeats
_PREFECT_FILE = "deployments/prefect.yaml"


def block_classes() -> list[type[Block]]:
    """Return every block class that a module of `blocks` defines, in the order of their names."""
    modules = [importlib.import_module(f"blocks.{module.name}") for module in pkgutil.iter_modules(blocks.__path__)]
    return [
        value
        for module in modules
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Block) and value.__module__ == module.__name__ and not value.__name__.startswith("_")
    ]


def register_blocks() -> None:
    """Register every block, each with a document "default" unless there is one: a user's own is never overwritten."""
    with get_client(sync_client=True) as client:
        for block in block_classes():
            block.register_type_and_schema()
            documents = client.read_block_documents_by_type(block.get_block_type_slug())
            if "default" not in {document.name for document in documents}:
                block().save("default")


def create_pool() -> None:
    """Create the work pool of processes unless it exists, and its queues as ``prefect.yaml`` has them."""
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=POOL, type="process", description="Processes on this machine")
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(pool)
        for name, settings in _read_queues().items():
            try:
                queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
            except ObjectNotFound:
                queue = client.create_work_queue(name, work_pool_name=POOL)
            client.update_work_queue(queue.id, **settings)


def watch_runs() -> None:
    """Make an automation, unless it exists, by which a run whose process and worker were killed is seen as crashed."""
    heartbeat, ends = "prefect.flow-run.heartbeat", ("Completed", "Failed", "Cancelled", "Crashed")
    trigger = EventTrigger(
        posture=Posture.Proactive,
        match=ResourceSpecification.model_validate({"prefect.resource.id": "prefect.flow-run.*"}),
        for_each={"prefect.resource.id"},
        after={heartbeat},
        expect={heartbeat, *(f"prefect.flow-run.{end}" for end in ends)},
        threshold=1,
        within=timedelta(seconds=_SILENT_FOR_S),
    )
    crash = ChangeFlowRunState(state=StateType.CRASHED, message="It was not heard of any more.")
    automation = AutomationCore(name="See dead runs as crashed", trigger=trigger, actions=[crash])
    with get_client(sync_client=True) as client:
        if not client.read_automations_by_name(automation.name):
            client.create_automation(automation)


def _read_queues() -> dict[str, dict[str, int | None]]:
    content = yaml.safe_load((environment.CHECKOUT / _PREFECT_FILE).read_text())
    queues: dict[str, dict[str, int | None]] = content["definitions"]["queues"]
    return queues


def deploy() -> None:
    """Deploy every flow that ``prefect.yaml`` names, from this checkout.

    Raises:
        ServerError: Prefect refused; its own words are in the message.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", _PREFECT_FILE]
    done = subprocess.run(command, cwd=environment.CHECKOUT, capture_output=True, text=True, check=False)
    log = environment.log_file("deploy")
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        end = "\n".join(done.stdout.rstrip().splitlines()[-5:])
        raise ServerError(f"the flows could not be deployed; the end of {log}:\n{end}")


def offer_databases() -> None:
    """Make the databases that are there now the choices of the forms."""
    from tasks import offering

    offering.offer_databases(offering.list_databases.fn())


def worker_is_online() -> bool:
    """Tell whether a worker of the pool has been heard of."""
    with get_client(sync_client=True) as client:
        return any(worker.status == WorkerStatus.ONLINE for worker in client.read_workers_for_work_pool(POOL))
