"""Orders by way of Prefect: sent to the work pool of a site, and done there."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed

from blocks.services import services
from multiblast.actions.site_orders import coupled, perform_here
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError
from multiblast.search.elsewhere import Elsewhere, GivenBackError
from multiblast.search.orders import Order
from tasks.runs import RETRY_IF_TRANSIENT

ORDERS_AT_A_TIME = 2  # one that is done, and the next one, so that a site never waits for us
GIVEN_BACK = "GivenBack"


@dataclass(frozen=True)
class PrefectCourier:
    """Sends orders to the deployment that the workers of a site serve."""

    site: str
    coupling: str = ""

    def send(self, order: Order, ticket: str, attempt: int) -> str:
        """Have an order done: see `multiblast.search.elsewhere.Courier`."""
        with get_client(sync_client=True) as client:
            try:
                deployment = client.read_deployment_by_name(f"perform-order/{self.site}")
            except ObjectNotFound:
                raise GivenBackError(f"no worker of {self.site} has ever come: start one there") from None
            run = client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"order": order.to_json(), "ticket": ticket, "coupling": self.coupling},
                tags=[order.job_id],
                idempotency_key=f"{ticket}-{attempt}",
            )
        return str(run.id)

    def ended(self, run_id: str) -> str | None:
        """Return how a run has ended: see `multiblast.search.elsewhere.Courier`."""
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(run_id)).state
        if state is None or not state.is_final():
            return None
        return f"given back: {state.message}" if state.name == GIVEN_BACK else str(state.name)

    def stop(self, run_id: str) -> None:
        """Stop a run: see `multiblast.search.elsewhere.Courier`."""
        with get_client(sync_client=True) as client, suppress(ObjectNotFound):
            client.set_flow_run_state(UUID(run_id), Cancelled(message="Its order is wanted no more."), force=True)


def elsewhere(site: str, coupling: str = "") -> Elsewhere:
    """Return what has searches and reports done at a site.

    Raises:
        NotFoundError: there is no such site.
    """
    gateway = services().gateway
    gateway.sites.get(site)
    return Elsewhere(gateway, services().queries.jobs, site, PrefectCourier(site, coupling))


@task(cache_policy=NO_CACHE, task_run_name="perform the order", **RETRY_IF_TRANSIENT)
def perform_order(order: dict[str, Any], ticket: str, coupling: str = "") -> State[Any]:
    """Do an order on this machine, and hand over what comes of it by the coupling that counts."""
    wanted, host, services_here = Order.from_json(order), platform.node(), services()
    with coupled(ticket, services_here.store, coupling, services_here.policy.gateway.coupling) as (by, chosen):
        get_run_logger().info("coupling: %s", chosen)
        try:
            done = perform_here(wanted, by, host)
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            return Completed(name=GIVEN_BACK, message=f"{host}: {error}")
    how = done.failure or f"searched in {done.seconds:.1f} s"
    return Completed(message=f"{host}: {how}; coupling: {chosen}")
