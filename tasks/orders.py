"""Orders by way of Prefect: sent to the work pool of a site, and done there."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
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
from multiblast.coupling import Chosen, StoreCoupling, choose, connect
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.search import Resolver
from multiblast.search.elsewhere import Elsewhere, GivenBackError
from multiblast.search.orders import Done, Order, perform, showing_life
from multiblast.settings import GATEWAY, SITE_KEY, home
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from multiblast.transfer import sync_databases
from tasks.runs import RETRY_IF_TRANSIENT

ORDERS_AT_A_TIME = 2  # one that is done, and the next one, so that a site never waits for us
GIVEN_BACK = "GivenBack"
PATIENCE_S = 300.0  # with a gateway that is away


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
    wanted, host = Order.from_json(order), platform.node()
    with _coupled(coupling, ticket) as (by, chosen):
        get_run_logger().info("coupling: %s", chosen)
        try:
            done = _perform(wanted, by)
        except (InvalidInputError, ConflictError, NotFoundError) as error:
            return Completed(name=GIVEN_BACK, message=f"{host}: {error}")
    how = done.failure or f"searched in {done.seconds:.1f} s"
    return Completed(message=f"{host}: {how}; coupling: {chosen}")


@contextmanager
def _coupled(coupling: str, ticket: str) -> Iterator[tuple[StoreCoupling, Chosen]]:
    """Give what the files of an order travel by, asked once whether it is there, and why it is that.

    By default that is the gateway, where a machine has been told of one.

    Raises:
        InvalidInputError: there is no such coupling, or its settings are missing.
    """
    url, key = (os.environ.get(name, "") for name in (GATEWAY, SITE_KEY))
    chosen = choose(coupling, block=services().policy.gateway.coupling)
    if chosen.source == "the default" and url:
        chosen = Chosen("https", GATEWAY)
    with ExitStack() as held:
        if chosen.name != "https" or chosen.place:
            by = connect(chosen, services().store)
            by.store.exists(ObjectKind.PROBE.key("probe"))
        elif not (url and key):
            raise InvalidInputError(Problem("a machine elsewhere needs both", f"{GATEWAY}, {SITE_KEY}"))
        else:
            grants = site_grants(url, key, ticket, patience_s=PATIENCE_S)
            store = held.enter_context(closing(HttpStore(url, grants, patience_s=PATIENCE_S)))
            store.greet()
            by = connect(chosen, store)
        yield by, chosen


def _perform(order: Order, by: StoreCoupling) -> Done:
    """Do an order; databases that are not here, or not as they should be, are copied, if they were published."""
    root = home() / "targets"
    root.mkdir(parents=True, exist_ok=True)
    targets = Targets(root)
    resolver = Resolver(Installation(), targets)
    try:
        return perform(order, resolver, by, platform.node())
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        names = [f"{order.site}/{display}/{name}" for display, name in order.targets]
        try:
            with showing_life(by.store, order):  # a large one takes its time
                sync_databases(by.store, targets, names)
        except (ConflictError, NotFoundError):
            raise error from None
    return perform(order, resolver, by, platform.node())
