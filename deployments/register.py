"""What a Prefect server must know before it is of use: our blocks, a work pool, our deployments."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import DeploymentSchedule, StateType, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from pydantic import SecretStr

import blocks
from blocks.appearance import OurBlock
from blocks.database import JobDatabase
from blocks.storage import ResultStorage
from deployments import environment
from deployments.own_servers import BUCKET, OwnServers
from deployments.server import ServerError

POOL = environment.POOL
_SILENT_FOR_S = 120  # four heartbeats


def block_classes() -> list[type[OurBlock]]:
    """Return every block class that a module of `blocks` defines, in the order of their names."""
    modules = [importlib.import_module(f"blocks.{module.name}") for module in pkgutil.iter_modules(blocks.__path__)]
    return [
        value
        for module in modules
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, OurBlock) and value.__module__ == module.__name__ and value is not OurBlock
    ]


def register_blocks() -> None:
    """Register every block, each with a document "default" unless there is one: a user's own keeps its values.

    Documents of an earlier form are saved in the present one, whose form the browser then shows.
    """
    with get_client(sync_client=True) as client:
        for block in block_classes():
            block.register_type_and_schema()
            documents = client.read_block_documents_by_type(block.get_block_type_slug())
            if "default" not in {document.name for document in documents}:
                block().save("default")
            for document in documents:
                if document.name and document.block_schema_id != block._block_schema_id:  # noqa: SLF001 - set just above
                    block.named(document.name).save(document.name, overwrite=True)


def point_blocks_to(servers: OwnServers) -> None:
    """Let results be kept and jobs be recorded by servers of our own, unless the user's blocks say something else."""
    from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket  # type: ignore[import-untyped]  # ships none

    key, secret = servers.s3_keys
    parameters = AwsClientParameters(endpoint_url=servers.s3_endpoint)
    credentials = AwsCredentials(
        aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1", aws_client_parameters=parameters
    )
    S3Bucket(bucket_name=BUCKET, credentials=credentials).save(BUCKET, overwrite=True)
    if not ResultStorage.named("default").url:
        ResultStorage(url=f"block:s3-bucket/{BUCKET}").save("default", overwrite=True)
    if not JobDatabase.named("default").url.get_secret_value():
        url = SecretStr(servers.database_url("+psycopg", "multiblast"))
        JobDatabase(url=url).save("default", overwrite=True)


def create_pool() -> None:
    """Create the work pool of processes unless it exists, and its queues as ``prefect.yaml`` has them."""
    with get_client(sync_client=True) as client:
        pool = WorkPoolCreate(name=POOL, type="process", description="Processes on this machine")
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(pool)
        for name, settings in environment.queues().items():
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


def deploy() -> None:
    """Deploy every flow that ``prefect.yaml`` names, from this checkout.

    A schedule that is there stays as somebody has switched it, with the parameters that they have given it, and its
    periods go on, so that one of a day comes to its end also where all is started each morning. So do those that
    somebody has added.
    """
    before = {found.id: found.schedules for found in _ours()}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    command += ["--prefect-file", environment.PREFECT_FILE]
    done = subprocess.run(command, cwd=environment.CHECKOUT, capture_output=True, text=True, check=False)
    log = environment.log_file("deploy")
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        end = "\n".join(done.stdout.rstrip().splitlines()[-5:])
        raise ServerError(f"the flows could not be deployed; the end of {log}:\n{end}")
    remove_old_deployments()
    _refuse_unknown_parameters()
    _keep_schedules(before)


def _refuse_unknown_parameters() -> None:
    """Let a run with a parameter that its flow does not have be refused at once: it would only crash."""
    with get_client(sync_client=True) as client:
        for found in _ours():
            schema = {**(found.parameter_openapi_schema or {}), "additionalProperties": False}
            client.update_deployment(found.id, DeploymentUpdate(parameter_openapi_schema=schema))


def _keep_schedules(before: Mapping[UUID, Sequence[DeploymentSchedule]]) -> None:
    from tasks.plugin_deployments import times_of

    with get_client(sync_client=True) as client:
        for found in _ours():
            now, ids = {one.slug: one for one in found.schedules if one.slug}, {one.id for one in found.schedules}
            for was in before.get(found.id, ()):
                place = {"id": found.id}
                kept = was.model_dump(mode="json", include={"active", "parameters", "schedule"})
                if one := now.get(was.slug or ""):
                    if times_of(was.schedule) != times_of(one.schedule):  # else also the time from which periods count
                        del kept["schedule"]
                    place["schedule_id"] = one.id
                    client.request("PATCH", "/deployments/{id}/schedules/{schedule_id}", path_params=place, json=kept)
                elif was.id not in ids:  # Prefect removes what somebody has added without a slug, and all beside it
                    client.request("POST", "/deployments/{id}/schedules", path_params=place, json=[kept])


def _ours() -> list[DeploymentResponse]:
    """Return the deployments of our flows: those of somebody else may share the server, and the pool."""
    from tasks.plugin_deployments import all_deployments

    with get_client(sync_client=True) as client:
        deployments = all_deployments(client)
    return [one for one in deployments if one.work_pool_name == POOL and (one.entrypoint or "").startswith("flows/")]


def remove_old_deployments() -> None:
    """Remove deployments of ours that ``prefect.yaml`` no longer names, as an earlier version left them."""
    entries = environment.prefect_file()["deployments"]
    wanted = {entry["name"] for entry in entries}
    plugins = next(entry["entrypoint"] for entry in entries if entry["name"] == "run-plugin")
    with get_client(sync_client=True) as client:
        for found in _ours():
            # Those of plugins are `offer_plugins`'s to remove.
            if found.name not in wanted and found.entrypoint != plugins:
                client.delete_deployment(found.id)


def offer_orders(site: str) -> None:
    """Make the work pool of a site, and in it the flow that does orders, from this checkout."""
    from flows.perform_order import perform_order

    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=site, type="process", description="Machines elsewhere"))
        client.create_deployment(
            flow_id=client.create_flow(perform_order),
            name=site,
            entrypoint="flows/perform_order.py:perform_order",
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(environment.CHECKOUT)}}],
            work_pool_name=site,
            tags=["search"],
        )


def offer_databases() -> None:
    """Make the databases that are there now the choices of the forms."""
    from tasks.maintenance import scan_targets, update_target_choices

    update_target_choices(scan_targets())


def offer_plugins() -> None:
    """Make the deployments of the plugins that can be run here now."""
    from tasks import plugin_deployments

    plugin_deployments.offer_plugins()


def workers_online() -> int:
    """Count the workers of the pool that were heard of lately."""
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(POOL)
    return sum(worker.status == WorkerStatus.ONLINE for worker in workers)
