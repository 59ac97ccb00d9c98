"""Orders by way of Prefect: sent to the work pool of a site, and done there."""

from __future__ import annotations

import os
import platform
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed

from blocks.services import services
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.installation import Installation
from multiblast.search import Resolver, Start
from multiblast.search.elsewhere import Elsewhere, GivenBackError
from multiblast.search.orders import Done, Order, perform
from multiblast.settings import home
from multiblast.stores import Store
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from multiblast.transfer import sync_databases
from tasks.runs import RETRY_IF_TRANSIENT

ORDERS_AT_A_TIME = 2  # one that is done, and the next one, so that a site never waits for us
GIVEN_BACK = "GivenBack"


@dataclass(frozen=True)
class PrefectCourier:
    """Sends orders to the deployment that the workers of a site serve."""

    site: str

    def send(self, order: Order, ticket: str, attempt: int) -> str:
        """Have an order done: see `multiblast.search.elsewhere.Courier`."""
        with get_client(sync_client=True) as client:
            try:
                deployment = client.read_deployment_by_name(f"perform-order/{self.site}")
            except ObjectNotFound:
                raise GivenBackError(f"no worker of {self.site} has ever come: start one there") from None
            run = client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"order": order.to_json(), "ticket": ticket},
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


def search_at(site: str) -> Start:
    """Return what has searches done at a site.

    Raises:
        NotFoundError: there is no such site.
    """
    gateway = services().gateway
    gateway.sites.get(site)
    return Elsewhere(gateway, services().queries.jobs, site, PrefectCourier(site)).start


@task(cache_policy=NO_CACHE, task_run_name="perform the order", **RETRY_IF_TRANSIENT)
def perform_order(order: dict[str, Any], ticket: str) -> State[Any]:
    """Do an order on this machine, which has neither our database nor our storage, by its ticket."""
    url, key = (os.environ.get(name, "") for name in ("MULTIBLAST_GATEWAY", "MULTIBLAST_SITE_KEY"))
    if not (url and key):
        raise InvalidInputError(Problem("a machine elsewhere needs both", "MULTIBLAST_GATEWAY, MULTIBLAST_SITE_KEY"))
    wanted = Order.from_json(order)
    with closing(HttpStore(url, site_grants(url, key, ticket))) as store:
        try:
            done = _perform(wanted, store)
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            return Completed(name=GIVEN_BACK, message=f"{platform.node()}: {error}")
    how = done.failure or f"searched in {done.seconds:.1f} s"
    return Completed(message=f"{platform.node()}: {how}")


def _perform(order: Order, store: Store) -> Done:
    """Do an order; databases that are not here, or not as they should be, are copied, if they were published."""
    root = home() / "targets"
    root.mkdir(parents=True, exist_ok=True)
    targets = Targets(root)
    resolver = Resolver(Installation(), targets)
    try:
        return perform(order, resolver, store, platform.node())
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        try:
            sync_databases(store, targets, [f"{order.site}/{display}/{name}" for display, name in order.targets])
        except (ConflictError, NotFoundError):
            raise error from None
    return perform(order, resolver, store, platform.node())
