"""The surface 2.0 over HTTP: the answers of the design, and real jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.database import JobKind
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy
from tests.support.http_service import HereStarter, config, ended, serving

ONE = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
TWO = ONE + ">Second\nQKQRAYLRSMEEKARERRRIFIQNEQARLERFAKERAERQTTTTTTTTATTPTTTTPTTT\nTPTTTPTTTKAPGIP\n"


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    rules = HttpRules(body_bytes=1 << 20, origins=("https://example.org",))
    return services_under(Policy(trust_unnamed=False, http=rules))


def submit(client: httpx.Client, query: str, **more: Any) -> str:
    answer = client.post("/query/jobs", json={**config(query), **more})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["queryJobID"])


@pytest.fixture(scope="module")
def job(client: httpx.Client) -> str:
    """A complete job of two sequences."""
    made = submit(client, TWO, userMeta={"summary": "Some blast job"})
    assert ended(client, f"/query/jobs/{made}")["status"] == "complete"
    return made


def test_http_query_job_is_answered_as_the_design_shows(client: httpx.Client, job: str) -> None:
    answer = client.get(f"/query/jobs/{job}").json()
    children = [child["queryJobID"] for child in answer["children"]]
    assert answer["subJobs"] == children
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["createdOn"])
    wanted = {
        "queryJobID": job,
        "status": "complete",
        "jobConfig": {
            "site": "demo",
            "targets": [{"targetDisplayName": "examples", "targetFile": "proteins"}],
        },
        "blastConfig": {"tool": "blastp"},
        "userMeta": {"summary": "Some blast job"},
    }
    assert {name: answer[name] for name in wanted} == wanted
    assert client.get(f"/query/jobs/{job.upper()}").json() == answer


def test_http_list_and_statuses_and_targets(client: httpx.Client, job: str) -> None:
    listed = {item["queryJobID"]: item for item in client.get("/query/jobs", params={"site": "demo"}).json()}
    assert set(listed[job]) == {"queryJobID", "status", "site", "createdOn", "userMeta"}
    asked = [job, "748ba381dd81bb8de615319837ffa350", "no id", 7, None]
    assert client.post("/query/statuses", json=asked).json() == {job: "complete"}
    targets = client.get("/query/targets").json()  # other tests may have made others
    assert targets["demo"] == {"examples": {"naTargets": ["nucleotides"], "aaTargets": ["proteins"]}}
    page = client.get("/query/jobs", params={"count": 1})
    assert len(page.json()) == 1
    assert "first=2" in page.headers["link"]


def test_http_form_makes_the_same_job_as_json(client: httpx.Client, job: str) -> None:
    text = json.dumps(config())
    forms: list[Any] = [
        {"config": (None, text, "application/json"), "query": ("q.fasta", TWO, "application/octet-stream")},
        {"config": ("c.json", text), "query": (None, TWO)},
    ]
    assert [client.post("/query/jobs", files=form).json() for form in forms] == [{"queryJobID": job}] * 2


def test_http_known_submission_is_complete_in_the_answer_without_a_run(
    client: httpx.Client, job: str, starter: HereStarter
) -> None:
    """The child of a complete job, under another title."""
    before = len(starter.started)
    made = submit(client, ONE.replace("First", "Other title"))
    assert made != job
    assert client.get(f"/query/jobs/{made}").json()["status"] == "complete"
    assert len(starter.started) == before


def test_http_submission_is_queued_while_nothing_can_be_started(client: httpx.Client, starter: HereStarter) -> None:
    starter.away = True
    made = submit(client, ">new\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVV\n")
    answer = client.get(f"/query/jobs/{made}")
    assert (answer.json()["status"], answer.json()["queuePosition"], answer.headers["retry-after"]) == (
        "queued",
        1,
        "2",
    )
    assert client.get("/health").status_code == 503
    starter.away = False
    assert ended(client, f"/query/jobs/{made}")["status"] == "complete"
    assert [one.job_id for one in starter.started].count(made) == 1


@pytest.mark.parametrize(("limit_s", "runs"), [(2.0, 0), (1e-6, 1)])
def test_http_reports_that_a_submission_names_are_made_when_it_is_complete(
    services: Services, limit_s: float, runs: int
) -> None:
    """By the run of the search; those that are named once it is known, too."""
    starter, query = HereStarter(services), f">wanted\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILS{'W' * (1 + runs)}\n"
    headers = {"Authorization": f"Bearer {services.accounts.tokens.make('wanted', str(runs))}"}
    with (
        serving(services, starter, small_search_s=limit_s) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        for wanted in (["15", "6 std stitle"], ["15", "0"]):
            made = submit(client, query, formats=wanted)
            assert ended(client, f"/query/jobs/{made}")["status"] == "complete"
            listed = client.get("/report/jobs", params={"query_job_id": made}).json()
            reports = [ended(client, f"/report/jobs/{one['reportJobID']}") for one in listed]
            assert {report["status"] for report in reports} == {"complete"}
            assert len(reports) == (2 if "0" not in wanted else 3)
    assert [one.kind for one in starter.started] == [JobKind.QUERY] * runs


def test_http_formats_of_a_submission_are_checked_with_it(client: httpx.Client) -> None:
    for wrong, keys in ((["99"], {"formats.formatType"}), (["6 nonsense"], {"formats.formatFields"})):
        answer = client.post("/query/jobs", json={**config(ONE), "formats": wrong})
        assert (answer.status_code, set(answer.json()["errors"]["byKey"])) == (422, keys)
    assert client.post("/query/jobs", json={**config(ONE), "formats": ["5"] * 21}).status_code == 422


@pytest.mark.parametrize(("limit_s", "runs"), [(2.0, 0), (1e-6, 1)])
def test_http_small_search_is_done_without_a_run(services: Services, limit_s: float, runs: int) -> None:
    starter, query = HereStarter(services), f">small\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ{'W' * (1 + runs)}\n"
    headers = {"Authorization": f"Bearer {services.accounts.tokens.make('small', str(runs))}"}
    with (
        serving(services, starter, small_search_s=limit_s) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        assert ended(client, f"/query/jobs/{submit(client, query)}")["status"] == "complete"
    assert len(starter.started) == runs


def test_http_what_the_policy_records_takes_a_run(services_under: Callable[..., Services]) -> None:
    """A search, one of which all is known, and a small report: runs record their provenance."""
    services = services_under(Policy(provenance=True))
    starter, headers = HereStarter(services), {"Authorization": f"Bearer {services.accounts.tokens.make('ann', 'x')}"}
    with (
        serving(services, starter, small_search_s=2) as url,
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        jobs = []
        for query in (ONE, ONE.replace("First", "Other")):
            jobs.append(submit(client, query))
            assert ended(client, f"/query/jobs/{jobs[-1]}")["status"] == "complete"
        report = client.post("/report/jobs", json={"queryJobID": jobs[0]}).json()["reportJobID"]
        assert ended(client, f"/report/jobs/{report}")["status"] == "complete"
    assert [one.job_id for one in starter.started] == [*jobs, report]


def test_http_bad_submission_names_every_problem_by_key(client: httpx.Client) -> None:
    wrong = config(">a\nMKV!\n", eValue="-1", nonsense=1)
    answer = client.post("/query/jobs", json=wrong)
    assert answer.status_code == 422
    body = answer.json()
    assert body["status"] == "invalid-input"
    assert set(body["errors"]["byKey"]) == {"blastConfig.eValue", "blastConfig.nonsense"}
    assert body["requestId"] == answer.headers["x-request-id"]
    assert b"\n" not in answer.content


@pytest.mark.parametrize(
    ("method", "path", "sent", "code"),
    [
        ("POST", "/query/jobs", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/query/jobs", {"content": b"[1]", "headers": {"Content-Type": "application/json"}}, 422),
        ("POST", "/query/jobs", {"content": b'{"a": NaN}', "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/query/jobs", {"content": b'"\\ud800"', "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/query/jobs", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/query/jobs", {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/query/jobs", {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ("POST", "/query/jobs", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ("POST", "/query/jobs", {"files": {"query": ("q", b">a\nMKV")}}, 400),
        ("POST", "/query/jobs", {"content": b"x" * (2 << 20)}, 413),
        ("GET", "/query/jobs?first=0", {}, 422),
        ("GET", "/query/jobs?count=99999999999999999999", {}, 422),
        ("GET", "/query/jobs?status=no", {}, 422),
        ("GET", "/query/jobs?site=%00", {}, 400),
        ("GET", "/query/jobs/nothing", {}, 404),
        ("GET", "/query/jobs/748ba381dd81bb8de615319837ffa350", {}, 404),
        ("GET", "/query/jobs/748ba381dd81bb8de615319837ffa350/query", {}, 404),
        ("DELETE", "/query/jobs/748ba381dd81bb8de615319837ffa350", {}, 404),
        ("PUT", "/query/jobs", {}, 405),
        ("GET", "/nothing", {}, 404),
        ("GET", "/..%2f..%2fetc/passwd", {}, 404),
        ("POST", "/query/statuses", {"json": {}}, 422),
        ("POST", "/report/jobs", {"json": {"queryJobID": "748ba381dd81bb8de615319837ffa350"}}, 400),
        ("POST", "/report/jobs", {"json": {}}, 422),
        ("POST", "/query/link-guest", {"json": {"guestID": 7}}, 400),
        ("POST", "/query/link-guest", {"json": {"guestID": "nobody's"}}, 400),
    ],
)
def test_http_bad_request_has_its_code(
    client: httpx.Client, method: str, path: str, sent: dict[str, Any], code: int
) -> None:
    before = client.get("/query/jobs").json()
    answer = client.request(method, path, **sent)
    assert answer.status_code == code, answer.text
    assert {"status", "message", "requestId"} <= set(answer.json())
    assert client.get("/query/jobs").json() == before


def test_http_ids_have_any_case_in_requests_too(client: httpx.Client, job: str) -> None:
    made = [client.post("/report/jobs", json={"queryJobID": one}).json()["reportJobID"] for one in (job, job.upper())]
    assert made[0] == made[1]
    shouted = client.get("/report/jobs", params={"query_job_id": job.upper()}).json()
    assert made[0] in {report["reportJobID"] for report in shouted}


def test_http_submission_of_nothing_is_told_what_to_send(client: httpx.Client) -> None:
    sent = client.post("/query/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
    assert sent.json()["message"].startswith("send application/json or multipart/form-data")
    for query in ("", None, " \n"):
        problems = client.post("/query/jobs", json=config(query)).json()["errors"]["byKey"]
        assert problems == {"jobConfig.query": ["give a query, here or as a file"]}


def test_http_changes_of_a_job(client: httpx.Client, job: str) -> None:
    address = f"/query/jobs/{job}"
    assert client.patch(address, json={"userMeta": {"description": "d"}}).status_code == 204
    assert client.get(address).json()["userMeta"] == {"summary": "Some blast job", "description": "d"}
    assert client.patch(address, json={"description": ""}).status_code == 204
    assert client.get(address).json()["userMeta"] == {"summary": "Some blast job"}
    wrong = client.patch(address, json={"userMeta": {"summary": "x" * 513}})
    assert (wrong.status_code, list(wrong.json()["errors"]["byKey"])) == (422, ["userMeta.summary"])
    assert client.post(address).status_code == 409
    assert client.post(f"{address}/cancel").status_code == 409
    assert [client.put(f"{address}/pin").status_code, client.get(address).json()["pinned"]] == [204, True]
    assert [client.delete(f"{address}/pin").status_code, client.get(address).json()["pinned"]] == [204, False]
    assert [event["toStatus"] for event in client.get(f"{address}/history").json()] == [
        "queued",
        "in-progress",
        "complete",
    ]


def test_http_unlinked_job_is_not_found_the_second_time(client: httpx.Client) -> None:
    made = submit(client, ONE.replace("First", "Unlinked"))
    assert [client.delete(f"/query/jobs/{made}").status_code for _ in range(2)] == [204, 404]


def test_http_query_result_stderr_and_command(client: httpx.Client, job: str, targets_root: Path) -> None:
    query = client.get(f"/query/jobs/{job}/query")
    assert query.headers["content-disposition"] == 'attachment; filename="query.txt"'
    assert query.text.startswith(">First\nIYSL")
    result = client.get(f"/query/jobs/{job}/result", params={"download": "false"})
    assert result.content.startswith(b"Blast4-archive ::= {")
    assert "content-disposition" not in result.headers
    assert client.get(f"/query/jobs/{job}/stderr").text == ""
    command = client.get(f"/query/jobs/{job}/command").text
    assert command.startswith("blastp ")
    assert "-db demo/examples/proteins" in command
    assert str(targets_root) not in command


def test_http_hits_are_pages(client: httpx.Client, job: str) -> None:
    page = client.get(f"/query/jobs/{job}/hits", params={"page_size": 2, "evalue_max": 10, "sort": "bitscore"}).json()
    assert set(page) == {"rows", "total", "page", "pages"}
    assert len(page["rows"]) == min(2, page["total"])
    assert client.get(f"/query/jobs/{job}/hits", params={"page_size": 0}).status_code == 422


def test_http_parameters_that_are_misspelt_are_refused(client: httpx.Client, job: str) -> None:
    """Ignored, they would let everything through; what every address takes, and jQuery adds, is no mistake."""
    wrong = client.get(f"/query/jobs/{job}/hits", params={"evalue": 1e-20, "sort": "bitscore"})
    assert wrong.status_code == 422
    (problem,) = wrong.json()["errors"]["byKey"]["evalue"]
    assert problem.startswith("there is no such parameter; there is evalue_max, identity_min, coverage_min, query,")
    assert set(client.get("/report/jobs", params={"job_id": job, "first": 1}).json()["errors"]["byKey"]) == {"job_id"}
    assert client.get(f"/query/jobs/{job}", params={"_": "1764561600000", "share_token": ""}).status_code == 200


def test_http_report_is_listed_and_answered_as_the_design_shows(client: httpx.Client, job: str, report: str) -> None:
    listed = client.get("/report/jobs", params={"query_job_id": job}).json()
    assert {"reportJobID": report, "queryJobID": job, "status": "complete"} in listed
    details = client.get(f"/report/jobs/{report}").json()
    assert (details["queryJobID"], details["blastConfig"]) == (job, {"formatType": "tabular"})
    files = client.get(f"/report/jobs/{report}/files").json()
    assert [file["name"] for file in files] == ["report.tsv", "report.zip"]
    assert all(isinstance(file["size"], int) for file in files)


def test_http_formats_and_orders_have_words_and_numbers(client: httpx.Client, job: str) -> None:
    """Both make the same report, which is told in words; formats that the design does not have keep their names."""

    def made(**options: Any) -> str:
        answer = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": options})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["reportJobID"])

    worded = {"formatType": "pairwise", "sortHits": "by-bit-score", "sortHSPs": "by-hsp-query-start"}
    report = made(**worded)
    assert report == made(formatType=0, sortHits=1, sortHSPs=2) == made(formatType="0", sortHits="1", sortHSPs="2")
    assert client.get(f"/report/jobs/{report}").json()["blastConfig"] == worded
    assert client.get(f"/report/jobs/{made(formatType='html')}").json()["blastConfig"] == {"formatType": "html"}
    wrong = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": "tabulated"}})
    assert (wrong.status_code, list(wrong.json()["errors"]["byKey"])) == (422, ["blastConfig.formatType"])


def test_http_unchanged_job_is_not_sent_again(client: httpx.Client, job: str) -> None:
    tag = client.get(f"/query/jobs/{job}").headers["etag"]
    assert client.get(f"/query/jobs/{job}", headers={"If-None-Match": tag}).status_code == 304


def test_http_answers_have_headers_of_security_and_for_allowed_origins(client: httpx.Client, job: str) -> None:
    address = f"/query/jobs/{job}"
    answer = client.get(address, headers={"Origin": "https://example.org"})
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in client.get(address, headers={"Origin": "https://evil.org"}).headers


def test_http_page_of_another_site_may_not_submit(client: httpx.Client) -> None:
    def code(origin: str) -> int:
        return client.post("/query/statuses", json=[], headers={"Origin": origin}).status_code

    own = str(client.base_url).rstrip("/")
    assert [code("https://evil.org"), code("null"), code("https://example.org"), code(own)] == [403, 403, 200, 200]


def test_http_errors_are_problem_details_where_asked_for(client: httpx.Client) -> None:
    answer = client.get("/query/jobs/nothing", headers={"Accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["title"]) == (404, "not-found")


def test_http_metrics_and_documentation(client: httpx.Client) -> None:
    client.get("/query/jobs/nothing")
    client.get("/nothing/of/this/kind")
    metrics = client.get("/metrics").text
    assert 'http_total_requests{code="404",method="GET",path="/query/jobs/{job_id}"}' in metrics
    assert 'http_total_requests{code="404",method="GET",path="other"}' in metrics
    assert 'http_request_duration_count{method="GET",path="/query/jobs/{job_id}"}' in metrics
    assert 'queued_jobs{queue="query"} 0' in metrics
    assert "/query/jobs/{job_id}/result" in client.get("/openapi.json").json()["paths"]
    assert "/query/jobs/{job_id}/result" in client.get("/api").text
