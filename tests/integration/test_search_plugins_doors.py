"""Search plugins at every door: the page, the HTTP interface, the flow's form, the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.utilities.callables import parameter_schema

from flows.plan_query import plan_query
from flows.submit_query import submit_query
from multiblast.installation import Installation
from multiblast.options import program_names
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy
from tasks import maintenance
from tests.support.http_service import HereStarter, config, ended, serving
from tests.support.search_plugins import NEEDS_TOOLS

pytestmark = NEEDS_TOOLS

QUERY = (Path(__file__).parents[2] / "examples" / "data" / "protein_query.fasta").read_text()
ONE = ">" + QUERY.split(">")[3]


@pytest.fixture(scope="module")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBLAST_HOME", str(tmp_path_factory.mktemp("made")))
        yield


@pytest.fixture(scope="module")
def client(_home: None, services_under: Callable[..., Services]) -> Iterator[httpx.Client]:
    services = services_under(Policy(http=HttpRules(guests=True)))
    token = services.accounts.tokens.make("ann", "tests")
    headers = {"Authorization": f"Bearer {token}"}
    with (
        serving(services, HereStarter(services)) as url,
        httpx.Client(base_url=url, headers=headers, timeout=60) as one,
    ):
        yield one


@pytest.mark.parametrize("program", ["diamond-blastp", "mmseqs-search"])
def test_http_interface_searches_and_reports(client: httpx.Client, program: str) -> None:
    wanted = {**config(ONE), "blastConfig": {"tool": program, "evalue": 1e-5}}
    answer = client.post("/query/jobs", json=wanted)
    assert answer.status_code == 200, answer.text
    job = answer.json()["queryJobID"]
    assert ended(client, f"/query/jobs/{job}")["status"] == "complete"
    assert client.get(f"/query/jobs/{job}").json()["blastConfig"] == {"tool": program, "evalue": 1e-5}
    refused = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": 5}})
    assert refused.status_code == 422
    assert "cannot be written as 5 BLAST XML: choose 6 tabular" in refused.text
    made = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": 6}})
    report = made.json()["reportJobID"]
    assert ended(client, f"/report/jobs/{report}")["status"] == "complete"
    rows = client.get(f"/report/jobs/{report}/files/report.tsv").text
    assert rows.splitlines()[0].startswith(("sp|B4RQP4|OBG_NEIG2\tsp|B4RQP4", "B4RQP4\tB4RQP4"))
    bad = client.post("/query/jobs", json={**config(ONE), "blastConfig": {"tool": program, "word_size": 3}})
    assert bad.status_code == 422
    assert f"{program} has no option 'word_size'" in bad.text


def test_page_offers_them_and_shows_what_they_find(client: httpx.Client) -> None:
    page = client.get("/").text
    assert '<option value="diamond-blastp">diamond-blastp: DIAMOND: protein queries' in page
    options = client.get("/", params={"program": "mmseqs-search"}).text
    assert "All options of mmseqs-search" in options
    assert 'name="option.sensitivity"' in options
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    sent = {"form_token": token[1] if token else "", "query": ONE, "program": "diamond-blastp"}
    sent |= {"database": "protein:demo/examples/proteins", "option.sensitivity": "fast"}
    answer = client.post("/", data=sent, follow_redirects=False)
    assert answer.status_code == 303, answer.text[:2000]
    job = answer.headers["location"]
    ended(client, f"/query{job}")
    shown = client.get(job).text
    assert "OBG_NEIG2" in shown
    formats = re.findall(r'<option value="([^"]+)"', shown.partition('id="format"')[2].partition("</select>")[0])
    assert formats == ["6", "7", "10", "html", "parquet"]
    again = client.get("/", params={"job": job.removeprefix("/jobs/")}).text
    assert '<option value="diamond-blastp" selected>' in again


@pytest.mark.parametrize("flow", [submit_query, plan_query])
def test_form_of_all_programs_offers_them(flow: Any) -> None:
    schema = parameter_schema(flow).model_dump()
    deployment: Any = SimpleNamespace(name=flow.name, parameter_openapi_schema=schema)
    form = maintenance._with_choices(deployment, [], Installation())
    assert form is not None
    assert form["properties"]["program"]["enum"] == list(program_names())
    assert "mmseqs-search" in program_names()
