"""Round trip over a real FAIR data registry; collected where one is named.

``MULTIBLAST_TEST_FAIR_URL`` and ``MULTIBLAST_TEST_FAIR_TOKEN`` name it, and the
same with ``_2`` behind URL and TOKEN name a second one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.sync.commands import pull, push
from multiblast.registry.sync.summary import ItemResult

_SERVERS = [
    (url, os.environ[f"MULTIBLAST_TEST_FAIR_TOKEN{number}"])
    for number in ("", "_2")
    if (url := os.environ.get(f"MULTIBLAST_TEST_FAIR_URL{number}", ""))
]

if _SERVERS:

    @pytest.fixture(params=_SERVERS, ids=[url for url, _ in _SERVERS])
    def fair(request: pytest.FixtureRequest) -> Any:
        end = RestRegistry(*request.param)
        yield end
        end.close()

    def test_registry_round_trip_over_a_real_registry(
        here: Any, second: Any, fair: Any, config: Callable[[str], Path]
    ) -> None:
        space = f"test-{time.time_ns()}"
        ann = here.author("Ann", "https://orcid.org/0000-0001")
        first = here.product("params/a", f"first {space}", namespace=space, authors=[ann])
        here.describe(first)
        last = here.product("results/c", f"last {space}", namespace=space)
        here.commit("code_run", here.run([first], [last], f"make {space}"))
        assert [(o.result, o.reason) for o in push(here, fair).outcomes] == [(ItemResult.DONE, "")]
        text = f"read: [{{data_product: '*/*', use: {{namespace: {space}}}}}]"
        user = second.user()
        report = pull(config(text), second, fair, user, all_files=True)
        assert {o.result for o in report.outcomes} == {ItemResult.DONE}
        assert second.contents() == here.contents()
        again = pull(config(text), second, fair, user)
        assert {o.result for o in again.outcomes} == {ItemResult.KNOWN}
        assert again.requests <= 20
        assert push(here, fair).requests == 0

    def test_registry_conflict_at_a_real_registry(here: Any, second: Any, fair: Any) -> None:
        space = f"test-{time.time_ns()}"
        for registry, content in ((here, "one"), (second, "two")):
            one = registry.product("params/a", f"{content} {space}", namespace=space)
            registry.commit("object", one.object_id)
        assert push(here, fair).exit_code == 0
        assert [o.result for o in push(second, fair).outcomes] == [ItemResult.CONFLICT]
