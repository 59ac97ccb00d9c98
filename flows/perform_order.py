"""A search for a job that another installation runs."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.orders import perform_order as perform


@flow(name="perform-order", flow_run_name="order of {order[job_id]:.8}")
def perform_order(order: dict[str, Any], ticket: str, coupling: str = "") -> State[Any]:
    """Search some sequences of a large job with the BLAST+ and the databases of this machine.

    Started by the run of the job, on the workers of a site: `multiblast service worker --site NAME`. What it reads and
    writes travels through the gateway; a machine without the databases gives the work back.

    Args:
        order: What to search with what: `multiblast.search.orders.Order`.
        ticket: What it may fetch and push; worth nothing without the key of the site.
        coupling: How its files travel: `https`, `filesystem`, or the URL of a store. Empty: as is configured.

    Returns:
        A state whose message says how it went.
    """
    state: State[Any] = perform(order, ticket, coupling, return_state=True)
    return state
