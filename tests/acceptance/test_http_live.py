"""The HTTP service that `make up` starts, over a real Prefect server and worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from deployments.run_starter import RunStarter
from tests.support.http_service import config, ended


def test_http_submission_runs_on_the_worker(live: dict[str, str], prefect_api: httpx.Client, examples: Path) -> None:
    """From a FASTA file to a report; the run says what it does, and whose it is, and no other is started for it."""
    address = httpx.URL(live["UI_URL"])
    with httpx.Client(base_url=address.copy_with(port=(address.port or 0) + 1), timeout=60) as client:
        assert client.get("/health").status_code == 200
        token = client.post("/admin/tokens", json={"user": "ann", "name": "laptop"}).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        request = {"json": config((examples / "protein_query.fasta").read_text(), eValue="0.0123")}
        [job] = {client.post("/query/jobs", **request).json()["queryJobID"] for _ in range(3)}
        assert ended(client, f"/query/jobs/{job}")["status"] == "complete"
        report = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": 5}}).json()
        assert ended(client, f"/report/jobs/{report['reportJobID']}")["status"] == "complete"
        [first, *_] = client.get(f"/report/jobs/{report['reportJobID']}/files").json()
        content = client.get(f"/report/jobs/{report['reportJobID']}/files/{first['name']}").content
        assert content.startswith(b"<?xml ")
    assert asyncio.run(RunStarter(lambda: f"{live['UI_URL']}/api").hindrance()) == ""
    tagged = {"flow_runs": {"tags": {"all_": [job]}}}
    runs = prefect_api.post("/flow_runs/filter", json=tagged).json()
    assert [(run["parameters"], run["idempotency_key"].partition("-")[0]) for run in runs] == [({"job": job}, job)]
    assert [(run["name"], set(run["tags"])) for run in runs] == [
        (f"blastp · proteins · {job:.8}", {job, "search", "ann"})
    ]
