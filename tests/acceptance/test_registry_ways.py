"""Every command of the registry as a function, as a command, and as a flow if it is what runs."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from multiblast.registry.model.rows import CodeRunRow
from tests.support.places import EXAMPLES, ROOT

READ = "read: [{data_product: 'params/*', use: {namespace: rich}}]\n"
# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@dataclass
class World:
    """A steward's registry, somebody else's, and the remote between them."""

    own: Any
    other: Any
    remote: Any
    home: Path
    loop: asyncio.Runner
    runner: CliRunner = field(default_factory=CliRunner)

    def flow(self, name: str, /, **parameters: Any) -> Any:
        return self._state(name, parameters).result()

    def cached(self, name: str, task: str, /, **parameters: Any) -> bool:
        """Run a deployment's flow; tell whether one of its tasks was shown as Cached."""
        state = self._state(name, parameters)
        state.result()
        return self.loop.run(_task_states(state.state_details.flow_run_id))[task] == "Cached"

    def _state(self, name: str, parameters: dict[str, Any]) -> Any:
        from prefect.flows import load_flow_from_entrypoint

        deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
        entrypoint = next(item["entrypoint"] for item in deployments if item["name"] == name)
        flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        return self.loop.run(flow(**parameters, return_state=True))

    def command(self, *words: object) -> Any:
        from deployments.command_line import app

        done = self.runner.invoke(app, ["registry", *map(str, words), "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def config(self, text: str = READ) -> str:
        path = self.home / "config.yaml"
        path.write_text(text)
        return str(path)

    def offer(self, name: str, content: str, version: str = "1.0.0") -> None:
        """Let somebody else push a data product to the remote."""
        from multiblast.registry.sync.commands import commit, push

        product(self.other, name, content, version)
        commit(self.other, [f"rich:{name}@{version}"])
        assert push(self.other, self.remote).exit_code == 0


def product(registry: Any, name: str, content: str, version: str = "1.0.0") -> str:
    from multiblast.registry.local.records import record_product
    from multiblast.registry.model.names import ProductName

    path = registry.directory / "content"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    record_product(registry, ProductName("rich", name, version), path, file_type="csv")
    return f"rich:{name}@{version}"


async def _task_states(flow_run_id: Any) -> dict[str, str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    wanted, deadline = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])), time.monotonic() + 60
    found: dict[str, str] = {}
    async with get_client() as client:
        while time.monotonic() < deadline:  # the recorder may be a second behind
            runs = await client.read_task_runs(flow_run_filter=wanted)
            found = {run.name: run.state_name or "" for run in runs}
            if all(run.state and run.state.is_final() for run in runs):
                break
            await asyncio.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, fair_server: tuple[str, str], temporary_prefect: str
) -> Iterator[World]:
    import httpx
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from multiblast.registry.local.registry import Registry, open_database
    from multiblast.registry.remotes.rest import RestRegistry
    from multiblast.stores import LocalStore

    httpx.post(f"{fair_server[0]}/control", json={"reset": True})
    with pytest.MonkeyPatch.context() as patch:
        home, there = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("there")
        patch.setenv("MULTIBLAST_HOME", str(home))
        patch.setenv("MULTIBLAST_REGISTRY_TOKEN", fair_server[1])
        patch.chdir(ROOT)
        other = Registry(open_database(f"sqlite:///{there / 'r.sqlite'}"), LocalStore(there / "store"), there)
        own, remote = Registry.embedded(), RestRegistry(*fair_server)
        with temporary_settings({PREFECT_API_URL: temporary_prefect}), asyncio.Runner() as loop:
            world = World(own, other, remote, home, loop)
            assert world.command("config", "rich", "--data-store", home / "data")["namespace"] == "rich"
            assert world.command("remote", "origin", fair_server[0])["url"] == fair_server[0]
            yield world
        for one in (own, other, remote):
            one.close()
    gc.collect()


def results(report: Any) -> dict[str, str]:
    """Return item and result, from a flow, a function or a command."""
    if isinstance(report, dict):
        return {one["item"]: one["result"] for one in report["items"]}
    return {one.item: one.result.value for one in report.outcomes}


def _pull(w: World) -> None:
    from multiblast.registry.local.users import binding
    from multiblast.registry.sync.commands import pull

    w.offer("params/a", "a")
    item = "rich:params/a@1.0.0"
    assert results(w.flow("pull-registry", config=w.config(), dry_run=True)) == {item: "planned"}
    assert results(w.command("pull", w.config())) == {item: "done"}
    assert results(w.flow("pull-registry", config=w.config())) == {item: "known"}
    assert results(pull(Path(w.config()), w.own, w.remote, binding(w.own))) == {item: "known"}


def _run(w: World) -> None:
    from multiblast.registry.local.users import binding
    from multiblast.registry.runs.execution import plan_run, run

    text = "run_metadata: {script: 'echo NUMBER > $FDP_DATA_STORE/rich/runs/NUMBER/0.0.1.txt'}\n"
    text += "write: [{data_product: runs/NUMBER, file_type: txt}]\n"
    config = w.config(text.replace("NUMBER", "1"))
    before = w.own.newest("code_run")
    planned = {"script": "planned", "rich:runs/1@0.0.1": "planned"}
    assert results(w.flow("run-registered", config=config, dry_run=True)) == planned
    assert results(w.command("run", config, "--dry-run")) == planned
    assert results(plan_run(Path(config), w.own, binding(w.own))) == planned
    assert w.own.newest("code_run") == before
    assert not list(w.home.glob("data/rich/runs/**/*"))
    done = w.command("run", config)
    assert done["outputs"] == ["rich:runs/1@0.0.1"]
    assert w.flow("run-registered", config=w.config(text.replace("NUMBER", "2"))).outputs == ("rich:runs/2@0.0.1",)
    made = run(Path(w.config(text.replace("NUMBER", "3"))), w.own, binding(w.own))
    assert made.outputs == ("rich:runs/3@0.0.1",)


def _generate(w: World) -> None:
    from multiblast.registry.local.users import binding
    from multiblast.registry.runs.execution import generate

    product(w.own, "params/here", "here")
    text = "read: [{data_product: params/here}]\n"
    target = w.home / "working.yaml"
    made = generate(Path(w.config(text)), target, w.own, binding(w.own)).text
    assert made == target.read_text()
    target.unlink()
    assert w.command("generate", w.config(text), target)["inputs"] == ["rich:params/here@1.0.0"]
    assert made == target.read_text()


def _commit(w: World) -> None:
    from multiblast.registry.sync.commands import commit

    items = [product(w.own, f"commits/{number}", str(number)) for number in range(2)]
    assert results(w.command("commit", items[0], "--dry-run")) == {items[0]: "planned"}
    assert results(w.command("commit", items[0])) == {items[0]: "done"}
    assert results(commit(w.own, items)) == {items[0]: "known", items[1]: "done"}


def _push(w: World) -> None:
    from multiblast.registry.sync.commands import commit, push

    items = [product(w.own, f"pushes/{number}", f"push {number}") for number in range(3)]
    for item, act in zip(
        items, (lambda: w.flow("push-registry"), lambda: w.command("push"), lambda: push(w.own, w.remote)), strict=True
    ):
        commit(w.own, [item])
        assert results(act())[item] == "done"
    assert results(w.flow("push-registry", dry_run=True))[items[0]] == "known"


def _status(w: World) -> None:
    from multiblast.registry.views.status import status

    item = product(w.own, "status/a", "status")
    told = status(w.own, w.remote, [item]).outcomes
    assert [one.reason for one in told] == ["ahead: not at the remote"]
    assert [one["reason"] for one in w.command("status", item)["items"]] == [told[0].reason]
    assert w.command("status", item, "--local")["items"][0]["reason"] == "local"


def _update(w: World) -> None:
    from multiblast.registry.local.users import binding
    from multiblast.registry.sync.commands import pull, update

    w.offer("updates/a", "1")
    text = "read: [{data_product: updates/a, use: {namespace: rich}}]\n"
    pull(Path(w.config(text)), w.own, w.remote, binding(w.own))
    for number, act in enumerate(
        (
            lambda: w.flow("update-registry"),
            lambda: w.command("update"),
            lambda: update(w.own, w.remote),
        ),
        start=1,
    ):
        w.offer("updates/a", f"1.{number}", f"1.{number}.0")
        item = f"rich:updates/a@1.{number}.0"
        assert results(w.flow("update-registry", dry_run=True))[item] == "planned"
        assert results(act())[item] == "done"


def _gc(w: World) -> None:
    from multiblast.registry.sync.collection import collect

    text = "read: [{data_product: collected/a, use: {namespace: rich}}]\n"
    w.offer("collected/a", "collected")
    acts: list[Callable[[], object]] = [
        lambda: w.command("gc", "--files"),
        lambda: collect(w.own, [w.remote], files=True),
    ]
    for act in acts:
        w.flow("pull-registry", config=w.config(text))
        planned = collect(w.own, [w.remote], files=True, dry_run=True)
        assert "rich:collected/a@1.0.0" in planned.items
        assert w.command("gc", "--files", "--dry-run")["items"] == list(planned.items)
        assert w.own.products("rich", ["collected/a"])
        act()
        assert not w.own.products("rich", ["collected/a"])
        assert planned.files
        assert not w.own.files.holding(planned.files)


def _delete(w: World) -> None:
    from multiblast.registry.sync.collection import delete

    acts: list[Callable[[str], object]] = [
        lambda item: w.command("delete", "--force", item),
        lambda item: delete(w.own, item, [], force=True),
    ]
    for act in acts:
        item = product(w.own, "deleted/a", "deleted")
        assert w.command("delete", "--force", "--dry-run", item)["items"] == [item]
        assert w.own.products("rich", ["deleted/a"])
        act(item)
        assert not w.own.products("rich", ["deleted/a"])


def _info(w: World) -> None:
    from multiblast.registry.views.info import info

    item = product(w.own, "info/a", "info")
    assert w.command("info", item) == info(w.own, item)
    assert info(w.own, item)[0]["size_bytes"] == 4


def _verify(w: World) -> None:
    from multiblast.registry.views.status import verify

    product(w.own, "verified/a", "verified")
    told = results(verify(w.own))
    assert results(w.command("verify")) == told
    assert set(told.values()) == {"done"}


def _export(w: World) -> None:
    from multiblast.registry.views.export import write_provenance

    item = product(w.own, "exported/a", "exported")
    for suffix in (".svg", ".json", ".zip"):
        function, typed = w.home / f"function{suffix}", w.home / f"typed{suffix}"
        write_provenance(w.own, item, function)
        assert w.command("export", item, typed)["target"] == str(typed)
        sizes = {path.stat().st_size for path in (function, typed)}
        assert max(sizes) - min(sizes) < 10  # a crate has the time in it
    assert (w.home / "typed.svg").read_text() == (w.home / "function.svg").read_text()


WAYS = {
    act.__name__.removeprefix("_"): act
    for act in (_pull, _run, _generate, _commit, _push, _status, _update, _gc, _delete, _info, _verify, _export)
}


@pytest.mark.parametrize("action", WAYS)
def test_registry_action_does_the_same_in_all_ways(action: str, world: World) -> None:
    WAYS[action](world)


@pytest.mark.long
def test_registry_jobs_are_recorded_if_the_policy_says_so(world: World) -> None:
    """By the flows that submit and report; and one job, whatever the policy, by function and command."""
    from blocks.services import using
    from deployments.command_line.demo import build_demo_targets
    from multiblast.services import Services
    from multiblast.settings import Policy

    build_demo_targets(world.home / "targets")
    services = Services.embedded()
    query = (EXAMPLES / "protein_query.fasta").read_text().split(">")[1]
    before = world.own.newest("code_run")
    with using(services):
        found = world.flow("submit-query", query=f">{query}", targets=["demo/examples/proteins"], user="rich")
        assert world.own.newest("code_run") == before
        services.policy = Policy(provenance=True)
        for _ in range(2):
            world.flow("submit-query", query=f">{query}", targets=["demo/examples/proteins"], user="rich")
        report = world.flow("make-report", job=found.job_id, format="7", user="rich")
        runs = [row.uuid for row in world.own.since(CodeRunRow, before)]
        assert len(runs) == 2
    assert [world.command("record", job)["code_run"] for job in (found.job_id, report.report_id)] == runs
    assert services.provenance.record(world.own, report.report_id) == runs[1]
    services.database.close()


@pytest.mark.long
def test_registry_pull_is_cached_until_configuration_or_answer_change(world: World) -> None:
    """What is asked of the registry is asked each time; what follows from it is shown as Cached."""
    text = "read: [{data_product: 'cached/*', use: {namespace: rich}}]\n"
    world.offer("cached/a", "cached a")
    found = [world.cached("pull-registry", "pull", config=world.config(text)) for _ in range(3)]
    assert found == [False, False, True]  # first there was something to do, then nothing, as before
    assert not world.cached("pull-registry", "pull", config=world.config(text + "# another\n"))
    world.offer("cached/b", "cached b")
    assert not world.cached("pull-registry", "pull", config=world.config(text))
    assert world.own.products("rich", ["cached/b"])


def test_registry_push_is_cached_until_there_is_more_to_send(world: World) -> None:
    from multiblast.registry.sync.commands import commit

    commit(world.own, [product(world.own, "sent/a", "sent a")])
    assert [world.cached("push-registry", "push") for _ in range(3)] == [False, False, True]
    commit(world.own, [product(world.own, "sent/b", "sent b")])
    assert not world.cached("push-registry", "push")


def test_registry_run_is_cached_until_what_it_reads_changes(world: World) -> None:
    script = "cp $FDP_DATA_STORE/rich/read/a/1.0.0.csv $FDP_DATA_STORE/rich/copied/a/1.0.0.csv"
    text = f"run_metadata: {{script: '{script}'}}\n"
    text += "read: [{data_product: read/a}]\nwrite: [{data_product: copied/a, file_type: csv, use: {version: 1.0.0}}]\n"
    product(world.own, "read/a", "read")
    assert [world.cached("run-registered", "run", config=world.config(text)) for _ in range(2)] == [False, True]
    product(world.own, "read/a", "newer", "2.0.0")
    assert not world.cached("run-registered", "run", config=world.config(text))
