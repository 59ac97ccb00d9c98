"""What the gateway has to do when nginx sends the bytes, beside sending them itself: ``make bench``."""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore, Store
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
from tests.support.gateway import GatewayProcess, granted
from tests.support.proxy import NoNginxError, accelerating, find_nginx, processor_s

MIB = 1 << 20
SIZE, RUNS = 1 << 30, 3


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as name:
        place = Path(name)
        try:
            nginx = find_nginx(place)
        except NoNginxError:
            sys.stdout.write("gateway behind nginx: not measured, as there is no nginx\n")
            return
        root = place / "store"
        database, store = Database(f"sqlite:///{place / 'jobs.sqlite'}"), LocalStore(root)
        (place / "targets").mkdir()
        services = Services(database, store, Installation(), Targets(place / "targets"), QueryLimits())
        store.put("a/in", (bytes(MIB) for _ in range(SIZE // MIB)))
        token = granted(services, reads=["a/in"], lasts_s=3600)
        streaming, offloading = (
            GatewayProcess(services, place / "spool", rules=rules) for rules in ({}, {"accelerated": "/stored"})
        )
        with streaming.running() as own, offloading.running() as url, accelerating(nginx, place, url, root) as proxy:
            _fetch(proxy, token)
            ratios = []
            for _ in range(RUNS):
                alone = processor_s(streaming.seen, lambda: _fetch(own, token))
                ratios.append(processor_s(offloading.seen, lambda: _fetch(proxy, token)) / alone)
        database.close()
        ratio = statistics.median(ratios)
        sys.stdout.write(f"gateway behind nginx: {ratio:.3f} of the processor time of sending the same itself\n")


def _fetch(url: str, token: str) -> None:
    with closing(HttpStore(url, lambda _afresh: token)) as store:
        Store.sha256(store, "a/in")


if __name__ == "__main__":
    main()
