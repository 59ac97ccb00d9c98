"""The flows of plugins, in this process: rounds are tasks, cached by their job; chains go from job to job."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.services import using
from flows.run_plugin import run_chain, run_plugin
from multiblast.accounts import Requester
from multiblast.errors import InvalidInputError, NotFoundError
from multiblast.plugins.rounds import PluginError
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tasks.notices import signing_secret
from tests.support.flow_runs import last_run
from tests.support.plugins import SORT, write_plugin
from tests.support.processes import wait_for
from tests.support.webhooks import listening

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

SPLIT = """
name = "split-words"
version = "1.0.0"
title = "Split words"
inputs.text = { data = "lines", content = ["text/plain"] }
outputs.lines = { data = "one-a-line", content = "text/plain" }
run = { command = ["grep", "-o", "[a-z]*", "{inputs.text}"], stdout = "lines" }
"""
COUNT = """
name = "count-{how}"
version = "1.0.0"
title = "Count"
tags = [{tags}]
inputs.lines = {{ data = "one-a-line", content = ["text/plain"] }}
outputs.counts = {{ data = "counts", content = "text/plain" }}
run = {{ command = ["wc", "-l", "{{inputs.lines}}"], stdout = "counts" }}
"""
CALLING = """
name = "calling"
version = "1.0.0"
title = "Let another one sort"
inputs.text = { content = ["text/plain"] }
outputs.numbered = { data = "lines", content = "text/plain" }
needs.sorter = { name = "sort-lines" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
CALLS = r"""
import json, os, pathlib
request = json.load(open("request.json"))
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
if "sort" not in request["answers"]:
    inputs = {"text": [request["inputs"]["text"][0]["path"]]}
    print(json.dumps({"progress": {"value": 0, "target": 2, "unit": "steps"}}), file=events)
    print(json.dumps({"call": {"step": "sort", "plugin": "sorter", "inputs": inputs}}), file=events)
    raise SystemExit
lines = pathlib.Path(request["answers"]["sort"]["outputs"]["sorted"][0]).read_text().split()
pathlib.Path("outputs/numbered.txt").write_text("".join(f"{n} {line}\n" for n, line in enumerate(lines, 1)))
"""
FAILING = """
name = "failing"
version = "1.0.0"
title = "Fail"
outputs.never = { data = "lines", content = "text/plain" }
run = { command = ["python3", "-c", "import sys; sys.exit('because of rain')"] }
"""


@pytest.fixture
def services(tmp_path: Path, temporary_prefect: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services whose plugins are in a folder, and which flows use."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    services = Services.embedded()
    folder = tmp_path / "plugins"
    for table in (SORT, SPLIT, FAILING):
        write_plugin(folder, table)
    for how, tags in (("lines", '"usual"'), ("slowly", "")):
        write_plugin(folder, COUNT.format(how=how, tags=tags))
    write_plugin(folder, CALLING, work=CALLS)
    services.policy = Policy(plugins=PluginRules(folders=(str(folder),)))
    with temporary_settings({PREFECT_API_URL: temporary_prefect}), using(services):
        yield services
    services.database.close()
    gc.collect()


def tasks_of(run: FlowRun, count: int) -> dict[str, str]:
    """Return the tasks of a run and how they ended, once the server has all of them."""
    mine = TaskRunFilter.model_validate({"flow_run_id": {"any_": [run.id]}})

    def read() -> dict[str, str]:
        with get_client(sync_client=True) as client:
            return {task.name: str(task.state_name) for task in client.read_task_runs(task_run_filter=mine)}

    wait_for(lambda: len([state for state in read().values() if state in {"Completed", "Cached", "Failed"}]) >= count)
    return read()


def where(outcome: Any) -> Callable[[str], str]:
    return lambda port: Path(next(one.where for one in outcome.outputs if one.port == port)).read_text()


def test_the_same_run_again_is_cached(services: Services) -> None:
    text = "data:text/plain,pear%0Aapple%0A"
    made = asyncio.run(run_plugin("sort-lines", {"text": text}, user="ann"))
    assert where(made)("sorted") == "apple\npear\n"
    assert tasks_of(last_run(), 2)["sort-lines, round 1"] == "Completed"
    again = asyncio.run(run_plugin("sort-lines", {"text": [text]}, {"order": "up"}))
    assert again == made
    assert tasks_of(last_run(), 2)["sort-lines, round 1"] == "Cached"
    assert made.job_id in last_run().tags
    services.store.delete([services.plugin_jobs.jobs.plugin(made.job_id).outputs[0]["key"]])
    assert where(asyncio.run(run_plugin("sort-lines", {"text": [text]})))("sorted") == "apple\npear\n"
    assert tasks_of(last_run(), 2)["sort-lines, round 1"] == "Completed"


def test_what_is_called_is_done_in_the_same_run(services: Services) -> None:
    made = asyncio.run(run_plugin("calling", {"text": "data:text/plain,pear%0Aapple%0A"}, user="ann"))
    assert where(made)("numbered") == "1 apple\n2 pear\n"
    job = services.plugin_jobs.jobs.plugin(made.job_id)
    assert job.progress == {"value": 0, "start": 0, "target": 2, "unit": "steps"}
    child = job.rounds[0]["job"]
    assert services.plugin_jobs.jobs.plugin(child).status == "complete"


def test_a_failed_plugin_fails_its_run_with_what_it_printed(services: Services) -> None:
    with pytest.raises(PluginError, match="because of rain"):
        asyncio.run(run_plugin("failing"))
    assert last_run().state_name == "Failed"
    [item] = services.plugin_jobs.list_jobs(services.accounts.requester())
    assert item.status == "failed"


def test_wrong_parameters_are_said_before_anything_runs(services: Services) -> None:
    with pytest.raises(InvalidInputError, match="sideways"):
        asyncio.run(run_plugin("sort-lines", {"text": "data:,a"}, {"order": "sideways"}))
    with pytest.raises(InvalidInputError, match=r"inputs\.text: there is no file"):
        asyncio.run(run_plugin("sort-lines", {"text": 7}))
    assert services.plugin_jobs.list_jobs(services.accounts.requester()) == []


def test_a_chain_is_found_by_types_and_done_step_by_step(services: Services) -> None:
    source = services.plugin_jobs
    sorting = source.submit(services.accounts.requester(), "sort-lines", ["data:text/plain,pear%20apple"])
    source.execute(sorting)
    text = f"plugin:{sorting}"
    made = asyncio.run(run_chain(text, "counts"))
    assert made.plugin == "count-lines@1.0.0"  # the usual one of two
    first = source.list_jobs(services.accounts.requester(), plugin="split-words")[0].plugin_job_id
    assert where(made)("counts").split()[0] == "2"
    through = asyncio.run(run_chain(text, "counts", through=["count-slowly"]))
    assert through.plugin == "count-slowly@1.0.0"
    assert source.jobs.plugin(through.job_id).inputs[0]["job"] == first  # the step before was found again
    with pytest.raises(InvalidInputError, match="it is not in the chain split-words → count-lines"):
        asyncio.run(run_chain(text, "counts", parameters={"sort-lines": {"order": "up"}}))
    with pytest.raises(NotFoundError, match="no chain of plugins to 'trees'"):
        asyncio.run(run_chain(text, "trees"))


def test_webhook_hears_of_a_run_while_it_goes_on(services: Services, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("b\na\n")
    given = {"text": [str(tmp_path / "lines.txt")]}
    job_id = services.plugin_jobs.submit(Requester(administrator=True), "calling", given)
    secret = signing_secret()  # read here, as the server's thread knows nothing of this Prefect
    with listening(lambda: secret) as (address, taken):
        services.webhooks.subscribe(job_id, address, "", "https://example.org/task")
        outcome = asyncio.run(run_plugin("calling", {"text": given["text"][0]}))
        assert outcome.job_id == job_id
        wait_for(lambda: taken and any(one["body"]["status"] == "complete" for one in taken))
    heard = [(one["event"][0], one["body"]["status"]) for one in taken]
    assert ("status", "in-progress") in heard
    assert ("details", "complete") in heard
    assert all(one["is_ours"] and one["source"] == ["https://example.org/task"] for one in taken)
