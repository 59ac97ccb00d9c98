"""What takes orders to a machine elsewhere, for tests: done in threads here, by a machine that has a key alone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from multiblast.coupling import InputCache, StoreCoupling
from multiblast.errors import MultiblastError
from multiblast.installation import Installation
from multiblast.search import Resolver
from multiblast.search.orders import Order, perform
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets

PERFORM = """
import json, sys
from pathlib import Path
from multiblast.coupling import InputCache, StoreCoupling
from multiblast.installation import Installation
from multiblast.search import Resolver
from multiblast.search.orders import Order, perform
from multiblast.stores.gateway_client import site_grants
from multiblast.stores.http import HttpStore
from multiblast.targets import Targets
url, key, ticket, root, order = sys.argv[1:]
store = HttpStore(url, site_grants(url, key, ticket))
resolver = Resolver(Installation(cores=1), Targets(Path(root), cache=Path(root).with_name("known")))
coupling = StoreCoupling(store, InputCache(Path(root).with_name("inputs")))
perform(Order.from_json(json.loads(order)), resolver, coupling, "elsewhere")
"""


@dataclass
class HereCourier:
    """Has orders done in threads of this process, by a machine that has nothing but a key and its own databases.

    Attributes:
        lost: How many of the first attempts are killed before they have done anything.
        is_deaf: Whether nobody there takes orders.
    """

    url: str
    key: str
    root: Path
    cache: InputCache
    lost: int = 0
    is_deaf: bool = False
    sent: list[Order] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    _ends: dict[str, str | None] = field(default_factory=dict)

    def send(self, order: Order, ticket: str, attempt: int) -> str:
        order = Order.from_json(order.to_json())
        run_id = f"{ticket}-{attempt}"
        self.sent.append(order)
        self._ends[run_id] = "Crashed" if len(self.sent) <= self.lost else None
        if not (self._ends[run_id] or self.is_deaf):
            threading.Thread(target=self._do, args=[order, ticket, run_id]).start()
        return run_id

    def ended(self, run_id: str) -> str | None:
        return self._ends[run_id]

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)

    def _do(self, order: Order, ticket: str, run_id: str) -> None:
        with closing(HttpStore(self.url, site_grants(self.url, self.key, ticket))) as store:
            try:
                targets = Targets(self.root, cache=self.root.with_name("known"))
                perform(order, Resolver(Installation(cores=1), targets), StoreCoupling(store, self.cache), "elsewhere")
            except MultiblastError as error:
                self._ends[run_id] = f"given back: {error}"
            else:
                self._ends[run_id] = "Completed"


@dataclass
class FullDiskCourier(HereCourier):
    """The first order is done by a machine whose disk is full."""

    printed: list[str] = field(default_factory=list)

    def _do(self, order: Order, ticket: str, run_id: str) -> None:
        if len(self.sent) > 1:
            super()._do(order, ticket, run_id)
            return
        place = self.root.with_name("tmp")
        place.mkdir()
        command = [
            sys.executable,
            "-c",
            PERFORM,
            self.url,
            self.key,
            ticket,
            str(self.root),
            json.dumps(order.to_json()),
        ]
        mount = f"mount -t tmpfs -o size=8k none {shlex.quote(str(place))} && exec {shlex.join(command)}"
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", mount],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TMPDIR": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed.append(done.stderr)
        self._ends[run_id] = "Failed"
