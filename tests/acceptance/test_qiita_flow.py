"""The flow run-qiita-plugin, in this process: what the policy names is run, followed, and stopped with its run."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact
from prefect.exceptions import Pause
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling
from sqlmodel import select

from blocks.services import using
from flows.run_qiita_plugin import run_qiita_plugin
from multiblast.database import Ticket
from multiblast.environment import HTTP_URL
from multiblast.errors import InvalidInputError
from multiblast.gateway.qiita import QiitaPluginError
from multiblast.services import Services
from multiblast.settings import QiitaPluginRules
from tests.support.flow_runs import last_run
from tests.support.gateway import gateway
from tests.support.processes import wait_for
from tests.support.qiita_plugin import ENDS, SCRIPT

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

INPUTS = {"1": {"type": "FASTA", "files": {"preprocessed_fasta": ["uploads/in"]}}}
STEPS = """
import time
for step in ("Step 1 of 2: reading", "Step 2 of 2:\\nwriting"):
    ask("/qiita_db/jobs/%s/step/" % job, json.dumps({"step": step}).encode(), **me)
    time.sleep(2)
"""
WAITS = """
import time
open(os.environ["MARK"], "w").write(str(os.getpid()))
time.sleep(300)
"""


@pytest.fixture
def run(tmp_path: Path, temporary_prefect: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """``run("plain", …)``: run the flow with the parameters that are given, and usual ones."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    services = Services.embedded()
    for key in ("uploads/in", "private/in"):
        services.store.put(key, key.encode())
    named = {}
    for name, script in {
        "plain": STEPS + ENDS["well"],
        "failing": ENDS["badly"],
        "waiting": WAITS,
    }.items():
        path = tmp_path / f"{name}.py"
        path.write_text(SCRIPT.replace("plain_1.0", f"{name}_1.0") + script)
        mark = {"MARK": str(tmp_path / "mark")}
        named[name] = QiitaPluginRules(version="1.0", start=(sys.executable, str(path)), environment=mark)

    def start(plugin: str, **parameters: Any) -> Any:
        usual = {"command": "Reverse", "parameters": {"input_data": "1"}, "inputs": INPUTS}
        return asyncio.run(run_qiita_plugin(plugin, **{**usual, **parameters}))

    with gateway(services, qiita_plugins=named) as address:
        monkeypatch.setenv(HTTP_URL, address.removesuffix("/gateway"))
        with temporary_settings({PREFECT_API_URL: temporary_prefect}), using(services):
            start.services = services  # type: ignore[attr-defined]  # for what tests look at
            yield start
    services.database.close()
    gc.collect()


def tickets(services: Services) -> list[Ticket]:
    with services.database.read() as session:
        return list(session.exec(select(Ticket)))


def artifacts(run_id: Any) -> dict[str, Artifact]:
    with get_client(sync_client=True) as client:
        return {str(one.type): one for one in client.read_artifacts() if one.flow_run_id == run_id}


def test_named_plugin_is_followed_and_its_outputs_are_shown(
    run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    services: Services = run.services  # type: ignore[attr-defined]
    with caplog.at_level("INFO"):
        [row] = run("plain")
    of_run = last_run()
    key = f"uploads/qiita/{of_run.id}/1/facts"
    assert (row["output"], row["type"], row["file type"], row["reference"]) == (
        "facts",
        "JSON",
        "plain_text",
        f"store:{key}",
    )
    assert json.loads(services.store.read(key))["job"]["parameters"] == {"input_data": "1"}
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("plugin: ")]
    assert said == ["plugin: Step 1 of 2: reading", "plugin: Step 2 of 2: writing"]
    shown = artifacts(of_run.id)
    assert json.loads(str(shown["table"].data)) == [row]
    assert (shown["progress"].data, shown["progress"].description) == (50.0, "Step 2 of 2: writing")
    [ticket] = tickets(services)
    assert (ticket.reads, ticket.writes) == (["uploads/in"], [f"uploads/qiita/{of_run.id}/1/"])


def test_plugin_that_fails_fails_its_run(run: Callable[..., Any]) -> None:
    with pytest.raises(QiitaPluginError, match="no reads left"):
        run("failing")
    assert last_run().state_name == "Failed"


@pytest.mark.parametrize(
    ("plugin", "parameters", "reason"),
    [
        ("other", {}, "names: failing, plain, waiting"),
        ("../plain", {}, "names: failing, plain, waiting"),
        ("plain", {"command": " "}, "name a command"),
        ("plain", {"inputs": {"1": {"type": "x", "files": {"x": ["private/in"]}}}}, "qiita_reads names uploads/"),
        ("plain", {"inputs": {"1": {"type": "x", "files": {"x": ["uploads/../private/in"]}}}}, "no key of the storage"),
        ("plain", {"inputs": {"1": {"type": "x", "files": {"x": ["uploads"]}}}}, "qiita_reads names uploads/"),
        ("plain", {"inputs": {"x": {"type": "x", "files": {}}}}, "inputs.x"),
        ("plain", {"inputs": {"1": {"files": {}}}}, "inputs.1.type"),
        ("plain", {"preparations": {"1": {"prep-file": "private/in", "sample-file": "uploads/in"}}}, "qiita_reads"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_runs(
    run: Callable[..., Any], plugin: str, parameters: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        run(plugin, **parameters)
    assert reason in str(refused.value)
    assert tickets(run.services) == []  # type: ignore[attr-defined]
    assert reason in str(artifacts(last_run().id)["markdown"].data)


def test_nothing_is_run_while_the_gateway_is_off(run: Callable[..., Any]) -> None:
    services: Services = run.services  # type: ignore[attr-defined]
    off = services.policy.gateway.model_copy(update={"enabled": False})
    services.policy = services.policy.model_copy(update={"gateway": off})
    with pytest.raises(InvalidInputError, match="which is off"):
        run("plain")
    assert tickets(services) == []


def test_plugin_is_stopped_with_its_run(run: Callable[..., Any], tmp_path: Path, temporary_prefect: str) -> None:
    mark = tmp_path / "mark"

    def cancel() -> None:
        with temporary_settings({PREFECT_API_URL: temporary_prefect}), get_client(sync_client=True) as client:
            wait_for(mark.exists, 60)
            client.set_flow_run_state(last_run().id, Cancelling(), force=True)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(Pause):
        run("waiting")
    canceller.join()
    assert last_run().state_name == "Cancelled"
    assert not Path(f"/proc/{mark.read_text()}").exists()
    [ticket] = tickets(run.services)  # type: ignore[attr-defined]
    assert ticket.why == "its run has ended"
