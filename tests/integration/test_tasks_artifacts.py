"""What a run's page shows while a search runs: one progress and one table, written again and not anew; no names."""

from __future__ import annotations

import asyncio
import gc
import json
from dataclasses import replace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact
from prefect.testing.utilities import prefect_test_harness

from blocks.services import using
from multiblast.accounts import Requester
from multiblast.errors import InvalidInputError
from multiblast.search import board, read_submission
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import Policy
from tasks import page as run_page
from tasks.runs import first_users, name_of, names_kept_out

# Prefect leaves the sockets of a run's clients to the garbage collector, which is made to come while they are forgiven.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


async def _shown() -> dict[str, Artifact]:
    async with get_client() as client:
        found = await client.read_artifacts()
    assert len(found) == len({artifact.key for artifact in found})
    return {str(artifact.type): artifact for artifact in found}


@flow(validate_parameters=False)
async def show(services: Services, job_id: str) -> tuple[dict[str, Artifact], dict[str, Artifact]]:
    """Search a job's batches one by one, its progress shown before each and at the end."""
    run = services.queries.run(job_id)
    plan = run.plan()
    run.start(plan)
    board.begin(job_id, to_search=plan.unknown, reused=plan.known, letters=plan.letters)
    page, seen = run_page.RunPage(job_id), []
    for batch in (*plan.to_run, None):
        await page.show_progress()
        seen.append(await _shown())
        if batch is not None:
            await asyncio.to_thread(run.search, batch)
    board.end(job_id)
    return seen[0], seen[-1]


@pytest.mark.long
def test_progress_and_table_are_brought_up_to_date_in_place(
    services: Services, proteins: list[Sequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_page, "_FIRST_S", 0.0)
    monkeypatch.setattr(run_page, "_PERIOD_S", 0.0)
    query = b"".join(sequence.canonical for sequence in proteins[:6]).decode()
    submission = read_submission(query=query, targets=["demo/examples/proteins"])
    job_id = services.queries.submit(Requester(administrator=True), submission).job_id
    with prefect_test_harness(server_startup_timeout=300), using(services):
        first, last = asyncio.run(show(services, job_id))
    gc.collect()
    assert first.keys() == last.keys() == {"progress", "table"}
    assert {kind: artifact.id for kind, artifact in first.items()} == {kind: one.id for kind, one in last.items()}
    states = [{row["status"] for row in json.loads(str(seen["table"].data))} for seen in (first, last)]
    assert states == [{"in-progress"}, {"complete"}]
    assert (float(str(first["progress"].data)), float(str(last["progress"].data))) == (0.0, 100.0)
    assert "letters/s" in str(last["progress"].description)


def test_run_of_a_job_is_called_by_what_it_does_and_bears_its_user_where_names_may_be_shown(services: Services) -> None:
    """As people see it who look at runs that the HTTP service and commands started."""
    submission = read_submission(query=">secret_name\nMKVLAAGIVG\n", targets=["demo/examples/proteins"])
    job = services.queries.submit(Requester("ann", administrator=True), submission).job_id
    with using(services):
        assert name_of(job) == f"blastp · proteins · {job:.8}"
        assert name_of("no such job") == "run no such "
        assert first_users([job]) == {"ann"}
    with using(replace(services, policy=Policy(names_in_runs=False))):
        assert first_users([job]) == set()


def test_private_query_is_refused_without_its_names(services: Services) -> None:
    """As the state, the log and the page of a run show it, which everybody can read who reaches Prefect."""
    private = replace(services, policy=Policy(names_in_runs=False))
    submission = read_submission(query=">secret_name\nMKV?\n", targets=["demo/examples/proteins"])
    with using(private), pytest.raises(InvalidInputError) as refused, names_kept_out():
        private.queries.submit(Requester(administrator=True), submission)
    assert str(refused.value).startswith("record 1, line 2: … has '?'")
    assert refused.value.__suppress_context__
