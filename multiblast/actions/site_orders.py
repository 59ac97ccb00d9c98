"""Orders of another installation, done on this machine: which of a site's machines can, and how files travel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from multiblast.coupling import Chosen, StoreCoupling, choose, connect
from multiblast.environment import GATEWAY, SITE_KEY
from multiblast.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from multiblast.installation import Installation
from multiblast.object_kinds import ObjectKind
from multiblast.search import Resolver
from multiblast.search.orders import Done, Order, perform, showing_life
from multiblast.stores import Store
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from multiblast.transfer import sync_databases

_PATIENCE_S = 300.0  # with a gateway that is away


@contextmanager
def coupled(ticket: str, store: Store, run: str = "", block: str = "") -> Iterator[tuple[StoreCoupling, Chosen]]:
    """Give what the files of an order travel by, asked once whether it is there, and why it is that.

    By default that is the gateway, where this machine's environment names one.

    Args:
        ticket: What the order may fetch and push.
        store: Where results are kept, as far as this machine knows.
        run: What the run's parameter says of the coupling.
        block: What the block says of it.

    Raises:
        InvalidInputError: there is no such coupling, or its settings are missing.
        StoreError: it cannot be reached.
    """
    url, key = (os.environ.get(name, "") for name in (GATEWAY, SITE_KEY))
    chosen = choose(run, block=block)
    if chosen.source == "the default" and url:
        chosen = Chosen("https", GATEWAY)
    with ExitStack() as held:
        if chosen.name != "https" or chosen.place:
            by = connect(chosen, store)
            by.store.exists(ObjectKind.PROBE.key("probe"))
        elif not (url and key):
            raise InvalidInputError(Problem("a machine elsewhere needs both", f"{GATEWAY}, {SITE_KEY}"))
        else:
            grants = site_grants(url, key, ticket, patience_s=_PATIENCE_S)
            gateway = held.enter_context(closing(HttpStore(url, grants, patience_s=_PATIENCE_S)))
            gateway.greet()
            by = connect(chosen, gateway)
        yield by, chosen


def perform_here(order: Order, by: StoreCoupling, host: str) -> Done:
    """Do an order; databases that are not here, or not as they should be, are copied, if they were published.

    Raises:
        InvalidInputError, NotFoundError: this machine does not have the databases.
        ConflictError: it has others of their names, or another version of BLAST+.
    """
    targets = Targets.own()
    resolver = Resolver(Installation(), targets)
    try:
        return perform(order, resolver, by, host)
    except (InvalidInputError, ConflictError, NotFoundError) as error:
        names = [f"{order.site}/{display}/{name}" for display, name in order.targets]
        try:
            with showing_life(by.store, order):  # a large one takes its time
                sync_databases(by.store, targets, names)
        except (ConflictError, NotFoundError):
            raise error from None
    return perform(order, resolver, by, host)
