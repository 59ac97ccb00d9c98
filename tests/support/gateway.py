"""A gateway for tests: the HTTP service with it, and grants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from multiblast.gateway import grant_of
from multiblast.services import Services
from multiblast.settings import GatewayRules
from multiblast.stores import LocalStore
from tests.support.http_service import HereStarter, serving


@contextmanager
def gateway(services: Services, port: int = 0, **rules: Any) -> Iterator[str]:
    """Serve with a gateway until the end of the block; give the gateway's address."""
    assert isinstance(services.store, LocalStore)
    services.gateway.spool = services.store.root.with_name("gateway")
    allowed = GatewayRules(enabled=True, **rules)
    services.policy = services.policy.model_copy(update={"gateway": allowed})
    with serving(services, HereStarter(services), port=port) as address:
        yield f"{address}/gateway"


def granted(services: Services, *, lasts_s: float = 600, **what: Any) -> str:
    """Return a grant as a token."""
    ticket = services.gateway.tickets.make(**{"site": "", "max_bytes": 1 << 40, "lasts": timedelta(hours=1), **what})
    return services.gateway.keys.sign(grant_of(ticket, lasts_s))
