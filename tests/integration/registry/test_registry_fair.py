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
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, pull, push
from multiblast.registry.sync.summary import ItemResult
from tests.support.language_clients import called, commit_all, python

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

    def test_registry_round_trip_of_what_a_script_recorded(
        here: Any, second: Any, fair: Any, config: Callable[[str], Path], tmp_path: Path
    ) -> None:
        space, directory = f"test-{time.time_ns()}", tmp_path / "project"
        user = here.user(space)
        here.product("params/a", f"{space}\n" * (time.time_ns() % 1000), namespace=space)
        directory.mkdir()
        (directory / "config.yaml").write_text(
            "run_metadata: {description: count, script: 'true'}\nread: [{data_product: params/a}]\n"
            "write: [{data_product: results/count, description: how many, file_type: txt}]\n"
        )
        commit_all(directory)
        done = run(directory / "config.yaml", here, user, server=called(python))
        commit(here, [done.uuid])
        assert [(o.result, o.reason) for o in push(here, fair).outcomes] == [(ItemResult.DONE, "")]
        wanted = config("read: [{data_product: results/count}]")
        report = pull(wanted, second, fair, second.user(space), all_files=True)
        assert {o.result for o in report.outcomes} == {ItemResult.DONE}
        assert second.contents() == here.contents()

    def test_registry_conflict_at_a_real_registry(here: Any, second: Any, fair: Any) -> None:
        space = f"test-{time.time_ns()}"
        for registry, content in ((here, "one"), (second, "two")):
            one = registry.product("params/a", f"{content} {space}", namespace=space)
            registry.commit("object", one.object_id)
        assert push(here, fair).exit_code == 0
        assert [o.result for o in push(second, fair).outcomes] == [ItemResult.CONFLICT]
