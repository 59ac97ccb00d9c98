"""A deployment for each plugin, with a form made from its table: at a real Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.support.plugins import SORT, write_plugin
from tests.support.processes import wait_for

# As in test_actions_ways.py: sockets of clients are left to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

WATCH = """
name = "watch"
version = "1.2.0"
title = "Watch over words"
description = "Counts them."
tags = ["words"]
license = "MIT"
[inputs.text]
content = ["text/plain"]
label = "Words"
help = "One a line."
[inputs.more]
content = ["text/plain"]
required = false
many = true
[outputs.count]
data = "count"
content = "text/plain"
[parameters.times]
type = "integer"
label = "Times"
help = "How often."
least = 1
most = 9
[parameters.way]
type = "choice"
choices = ["up", "down"]
default = "up"
[run]
command = ["wc", "-w", "{inputs.text}"]
stdout = "count"
queue = "lean"
concurrency = 3
[[schedules]]
every = "PT24H"
active = true
inputs = { text = "store:uploads/words.txt" }
parameters = { times = 2 }
[[schedules]]
cron = "30 3 * * 0"
timezone = "Europe/Vienna"
inputs = { text = "store:uploads/words.txt" }
parameters = { times = 3 }
"""


@pytest.fixture(scope="module")
def server(temporary_prefect: str) -> Iterator[httpx.Client]:
    """A server that has the flow ``run-plugin`` and its deployment; a client of its API."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: temporary_prefect}), httpx.Client(base_url=temporary_prefect) as api:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.actions import WorkPoolCreate
        from prefect.utilities.callables import parameter_schema

        from flows.run_plugin import run_plugin

        with get_client(sync_client=True) as client:
            client.create_work_pool(WorkPoolCreate(name="search", type="process"))
            client.create_deployment(
                flow_id=client.create_flow(run_plugin),
                name="run-plugin",
                entrypoint="flows/run_plugin.py:run_plugin",
                work_pool_name="search",
                parameter_openapi_schema=parameter_schema(run_plugin).model_dump_for_openapi(),
            )
        yield api


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Services with a folder of plugins."""
    policy = Policy(plugins=PluginRules(folders=(str(tmp_path / "plugins"),)))
    database = Database(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    targets = Targets(tmp_path)
    yield Services(database, LocalStore(tmp_path / "store"), Installation(), targets, QueryLimits(), policy)
    database.close()


def _deployment(server: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.get(f"/deployments/name/run-plugin/{name}").raise_for_status().json()
    return found


def _refused(server: httpx.Client, deployment: str, **parameters: Any) -> str:
    """Return why no run is started with these parameters; empty if one is."""
    answer = server.post(f"/deployments/{deployment}/create_flow_run", json={"parameters": parameters})
    return "" if answer.is_success else answer.json()["detail"]


def test_deployments_follow_the_plugins(
    server: httpx.Client, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made, renewed and removed with them; a schedule stays as somebody has switched it."""
    from tasks.plugin_deployments import offer

    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    watch, sort = (write_plugin(tmp_path / "plugins", table) for table in (WATCH, SORT))
    workshop = services.plugin_jobs.workshop
    assert sorted(offer(workshop).made) == ["sort-lines", "watch"]
    found = _deployment(server, "watch")
    assert {"plugins", "words", "text/plain"} <= set(found["tags"])
    assert (found["work_queue_name"], found["version"]) == ("lean", "1.2.0")
    assert found["global_concurrency_limit"]["limit"] == 3
    schedules = {one["slug"]: one for one in found["schedules"]}
    assert schedules["watch-1"]["active"]
    assert schedules["watch-1"]["schedule"]["interval"] == 24 * 3600
    assert schedules["watch-2"]["schedule"]["cron"] == "30 3 * * 0"
    assert schedules["watch-2"]["parameters"] == {
        "inputs": {"text": "store:uploads/words.txt"},
        "parameters": {"times": 3},
    }
    change = f"/deployments/{found['id']}/schedules/{schedules['watch-1']['id']}"
    server.patch(change, json={"active": False}).raise_for_status()
    (watch / "plugin.toml").write_text(WATCH.replace('version = "1.2.0"', 'version = "1.10.0"'))
    renewed = offer(workshop)
    assert renewed.problems == {}
    assert (sorted(renewed.renewed), renewed.made, renewed.removed) == (["sort-lines", "watch"], [], [])
    again = _deployment(server, "watch")
    assert again["parameters"] == {"plugin": "watch@1.10.0"}
    assert not any(one["active"] for one in again["schedules"])
    (sort / "plugin.toml").unlink()
    assert offer(workshop).removed == ["sort-lines"]
    assert server.get("/deployments/name/run-plugin/sort-lines").status_code == httpx.codes.NOT_FOUND
    (watch / "plugin.toml").write_text(WATCH.replace("30 3 * * 0", "at dawn"))
    assert "watch" in offer(workshop).problems
    assert server.get("/deployments/name/run-plugin/run-plugin").is_success


def test_each_version_has_its_form_and_events_say_what_came_and_went(
    server: httpx.Client, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest has the plugin's name, and alone the schedules."""
    from tasks.plugin_deployments import offer

    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    write_plugin(tmp_path / "plugins", WATCH.replace('"watch"', '"guard"'))
    older = tmp_path / "plugins" / "older"
    older.mkdir()
    (older / "plugin.toml").write_text(WATCH.replace('"watch"', '"guard"').replace("1.2.0", "1.1.9"))
    made = offer(services.plugin_jobs.workshop).made
    assert {"guard", "guard@1.1.9"} <= set(made)
    assert _deployment(server, "guard")["parameters"] == {"plugin": "guard@1.2.0"}
    pinned = _deployment(server, "guard@1.1.9")
    assert (pinned["parameters"], pinned["schedules"]) == ({"plugin": "guard@1.1.9"}, [])
    (older / "plugin.toml").unlink()
    assert offer(services.plugin_jobs.workshop).removed == ["guard@1.1.9"]

    def events() -> set[tuple[str, str]]:
        wanted = {"filter": {"event": {"prefix": ["multiblast.plugin."]}}, "limit": 50}
        found = server.post("/events/filter", json=wanted).raise_for_status().json()["events"]
        return {(one["event"], one["resource"]["prefect.resource.name"]) for one in found}

    wait_for(lambda: ("multiblast.plugin.removed", "guard@1.1.9") in events())
    assert ("multiblast.plugin.offered", "guard") in events()


def test_server_refuses_what_does_not_fit_the_form(
    server: httpx.Client, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a run starts."""
    from tasks.plugin_deployments import offer

    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    write_plugin(tmp_path / "plugins", WATCH)
    offer(services.plugin_jobs.workshop)
    found = _deployment(server, "watch")
    form = found["parameter_openapi_schema"]["properties"]
    assert form["inputs"]["properties"]["text"]["title"] == "Words"
    assert form["inputs"]["required"] == ["text"]
    assert form["parameters"]["properties"]["times"]["description"] == "How often."
    assert form["parameters"]["properties"]["way"]["enum"] == ["up", "down"]
    good = {"inputs": {"text": "job:1"}, "parameters": {"times": 2, "way": "down"}}
    assert _refused(server, found["id"], **good) == ""
    for wrong, why in (
        ({"inputs": {}}, "'text' is a required property"),
        ({"inputs": {"text": "job:1", "other": "job:2"}}, "other"),
        ({"parameters": {"way": "up"}}, "'times' is a required property"),
        ({"parameters": {"times": 10}}, "10 is greater than the maximum of 9"),
        ({"parameters": {"times": 1, "way": "sideways"}}, "'sideways' is not one of"),
        ({"plugin": "another"}, "'another' is not one of"),
        ({"sequences": "job:1"}, "('sequences' was unexpected)"),
    ):
        assert why in _refused(server, found["id"], **{**good, **wrong})
