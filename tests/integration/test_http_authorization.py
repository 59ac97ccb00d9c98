"""Who may do what over HTTP: every route, for everybody there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import reduce
from typing import Any

import httpx
import pytest

from multiblast.accounts import Requester
from multiblast.accounts.user_tokens import hash_of
from multiblast.database import JobKind, JobStatus, UserToken, utc_now
from multiblast.environment import HTTP_URL, PROXY_SECRET
from multiblast.reports import Formatting
from multiblast.services import Services
from multiblast.settings import HttpRules, PluginRules, Policy
from tests.support.http_service import HereStarter, config, serving
from tests.support.plugins import SORT, write_plugin

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"

WHO = ["nobody", "revoked", "expired", "unknown", "other", "guest", "linked guest", "share", "administrator", "owner"]
WORTHLESS = {"nobody": 401, "revoked": 401, "expired": 401, "unknown": 401}
STRANGERS = {"other": 403, "guest": 403, "linked guest": 403}


def rights(ok: int, *, strangers: int = 403, share: int = 401, administrator: int | None = None) -> dict[str, int]:
    """Return a row of the table: the code for each of `WHO`."""
    named = dict.fromkeys(STRANGERS, strangers)
    return {**WORTHLESS, **named, "share": share, "administrator": administrator or ok, "owner": ok}


READ = rights(200, share=200)
OWN = rights(200, strangers=200)  # one's own list, or something new
PUBLIC = dict.fromkeys(WHO, 200) | {"revoked": 401, "expired": 401, "unknown": 401}
OPEN = dict.fromkeys(WHO, 200)
ADMINISTRATION = {**WORTHLESS, **STRANGERS, "owner": 403, "share": 401, "administrator": 200}


class Form(dict[str, str]):
    """A body that is sent as a form."""


def job_rows(kind: str) -> list[tuple[str, str, Any, dict[str, int]]]:
    job, end = f"/{kind}/jobs/{{job_id}}", {"guestID": "nobody's"}
    return [
        ("GET", f"/{kind}/jobs", None, OWN),
        ("GET", job, None, READ),
        ("GET", f"{job}/stderr", None, READ),
        ("GET", f"{job}/errors", None, READ),
        ("GET", f"{job}/history", None, READ),
        ("POST", f"/{kind}/statuses", [], PUBLIC),
        ("PATCH", job, {"userMeta": {"summary": "x"}}, rights(204)),
        ("POST", job, None, rights(409)),
        ("POST", f"{job}/cancel", None, rights(409)),
        ("PUT", f"{job}/pin", None, rights(204)),
        ("DELETE", f"{job}/pin", None, rights(204)),
        ("POST", f"{job}/shares", None, rights(200)),
        ("GET", f"/{kind}/maintenance/broken-jobs", None, ADMINISTRATION),
        ("POST", f"/{kind}/link-guest", end, {**rights(400, strangers=400), "guest": 403, "linked guest": 403}),
    ]


UNSUBSCRIBE = {"command": "unsubscribe", "webhookHref": "https://example.org/"}
ROUTES = [
    *job_rows("query"),
    ("GET", "/query/jobs/{job_id}/query", None, READ),
    ("GET", "/query/jobs/{job_id}/result", None, READ),
    ("GET", "/query/jobs/{job_id}/command", None, READ),
    ("GET", "/query/jobs/{job_id}/hits", None, READ),
    ("POST", "/query/jobs", config(FASTA, eValue="0.5"), OWN),
    ("GET", "/query/targets", None, OPEN),
    *job_rows("report"),
    ("GET", "/report/jobs/{job_id}/files", None, READ),
    ("GET", "/report/jobs/{job_id}/files/{name}", None, READ),
    ("POST", "/report/jobs", {"queryJobID": "JOB"}, rights(200, share=401)),
    *job_rows("plugin"),
    ("GET", "/plugin/jobs/{job_id}/files", None, READ),
    ("GET", "/plugin/jobs/{job_id}/files/{name}", None, READ),
    ("POST", "/plugin/jobs", {"plugin": "sort-lines", "inputs": {"text": "data:text/plain,b"}}, OWN),
    ("POST", "/plugin/jobs/{job_id}/steps/first", {}, rights(409)),
    ("GET", "/plugin/plugins", None, OPEN),
    ("GET", "/plugin/plugins/sort-lines", None, OPEN),
    ("GET", "/qhana/plugins/", None, OPEN),
    ("GET", "/qhana/plugins/sort-lines/", None, dict.fromkeys(WHO, 307)),
    ("GET", "/qhana/plugins/sort-lines/ui/", None, OPEN),
    ("POST", "/qhana/plugins/sort-lines/process/", Form(text="data:text/plain,b"), rights(303, strangers=303)),
    ("GET", "/qhana/tasks/{job_id}/", None, READ),
    ("POST", "/qhana/tasks/{job_id}/", UNSUBSCRIBE, rights(200, share=403)),
    ("GET", "/qhana/tasks/{job_id}/steps/first/ui/", None, rights(404, share=404)),
    ("POST", "/qhana/tasks/{job_id}/steps/first/", Form(word="a"), rights(409)),
    ("GET", "/qhana/files/{name}/", None, dict.fromkeys(WHO, 404)),
    ("POST", "/guests", None, OPEN),
    ("GET", "/health", None, OPEN),
    ("GET", "/metrics", None, OPEN),
    ("GET", "/admin/tokens", None, ADMINISTRATION),
    ("POST", "/admin/tokens", {"user": "bob", "name": "new"}, ADMINISTRATION),
    ("GET", "/query/jobs/{job_id}/comparisons/{comparison}", None, READ),
    ("DELETE", "/admin/tokens/{user}/{name}", None, {**ADMINISTRATION, "administrator": 204}),
    ("DELETE", "/report/jobs/{job_id}/shares", None, rights(204)),
    ("DELETE", "/plugin/jobs/{job_id}/shares", None, rights(204)),
    ("DELETE", "/plugin/jobs/{job_id}", None, rights(204, strangers=404, administrator=404)),
    ("DELETE", "/query/jobs/{job_id}/shares", None, rights(204)),
    ("DELETE", "/report/jobs/{job_id}", None, rights(204, strangers=404, administrator=404)),
    ("DELETE", "/query/jobs/{job_id}", None, rights(204, strangers=404, administrator=404)),
]


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services], tmp_path_factory: pytest.TempPathFactory) -> Services:
    rules, folder = HttpRules(user_header="X-User"), tmp_path_factory.mktemp("plugins")
    write_plugin(folder, SORT)
    plugins = PluginRules(folders=(str(folder),), qhana=True)
    policy = Policy(trust_unnamed=False, administrators=frozenset({"root"}), http=rules, plugins=plugins)
    return services_under(policy)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def owner(services: Services) -> Requester:
    return services.accounts.requester("ann")


@pytest.fixture(scope="module")
def job(services: Services, owner: Requester) -> str:
    made = services.queries.create(owner, config(FASTA)).query_job_id
    services.queries.run(made).execute()
    return made


@pytest.fixture(scope="module")
def comparison(services: Services, owner: Requester, job: str) -> str:
    return services.queries.keep_comparison(job, services.queries.compare(owner, job, job))


@pytest.fixture(scope="module")
def report(services: Services, owner: Requester, job: str) -> str:
    made = services.reports.submit(owner, job, Formatting(format="6"))
    services.reports.run(made).execute()
    return made


@pytest.fixture(scope="module")
def plugin(services: Services, owner: Requester) -> str:
    made = services.plugin_jobs.submit(owner, "sort-lines", ["data:text/plain,a"])
    services.plugin_jobs.execute(made)
    return made


@pytest.fixture(scope="module")
def headers(services: Services, owner: Requester, job: str, report: str, plugin: str) -> dict[str, dict[str, str]]:
    """What each of `WHO` sends."""
    accounts, tokens = services.accounts, services.accounts.tokens
    revoked, expired = tokens.make("ann", "revoked"), tokens.make("ann", "expired", lasts=timedelta(days=1))
    tokens.revoke("ann", "revoked")
    with services.database.write() as session:
        row = session.get_one(UserToken, hash_of(expired))
        row.expires_at = utc_now()
        session.add(row)
    linked = accounts.new_guest()
    accounts.link_guest(linked, "carl")
    made = {
        "revoked": revoked,
        "expired": expired,
        "unknown": "mb_unknown",
        "other": tokens.make("bob", "own"),
        "guest": accounts.new_guest(),
        "linked guest": linked,
        "administrator": tokens.make("root", "own"),
        "owner": tokens.make("ann", "own"),
    }
    shares = [services.door(kind).share(owner, made) for kind, made in zip(JobKind, (job, report, plugin), strict=True)]
    bearers = {who: {"Authorization": f"Bearer {token}"} for who, token in made.items()}
    tokens_of = {f"{kind} share": {"Share-Token": share} for kind, share in zip(JobKind, shares, strict=True)}
    return {"nobody": {}, "share": {"Share-Token": shares[0]}, **tokens_of, **bearers}


@pytest.fixture(autouse=True)
def _lists(services: Services, job: str, report: str, plugin: str) -> None:
    """Only the owner has the jobs in the list, whatever the test before did."""
    for door, made in ((services.queries, job), (services.reports, report), (services.plugin_jobs, plugin)):
        door._links.add("ann", made, door.kind)
        door._links.remove("root", made)


@pytest.mark.parametrize(
    ("method", "path", "body", "codes"), ROUTES, ids=[f"{method} {path}" for method, path, *_ in ROUTES]
)
def test_http_route_is_for_whom_it_is_for(  # noqa: PLR0913, PLR0917 - a row of the table
    client: httpx.Client,
    headers: dict[str, dict[str, str]],
    services: Services,
    comparison: str,
    job: str,
    report: str,
    plugin: str,
    method: str,
    path: str,
    body: Any,
    codes: dict[str, int],
) -> None:
    if path == "/admin/tokens/{user}/{name}":
        services.accounts.tokens.make("bob", "t")
    kind = next((kind for kind in ("report", "plugin") if path.startswith(f"/{kind}/jobs")), "query")
    kind = "plugin" if path.startswith("/qhana") else kind
    names = {"name": {"report": "report.tsv", "plugin": "sorted.txt"}.get(kind, "t"), "user": "bob"}
    made = {"query": job, "report": report, "plugin": plugin}[kind]
    address = path.format(job_id=made, comparison=comparison, **names)
    sent = {"queryJobID": job} if body == {"queryJobID": "JOB"} else body
    given = {**headers, "share": headers[f"{kind} share"]}
    written = {"data" if isinstance(sent, Form) else "json": sent}
    found = {who: client.request(method, address, headers=given[who], **written).status_code for who in WHO}
    assert found == codes


def test_http_every_route_is_in_the_table(url: str) -> None:
    document = httpx.get(f"{url}/openapi.json").json()
    served = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    named = {"{comparison}": "{name}", "steps/first": "steps/{step}", "plugins/sort-lines": "plugins/{name}"}
    listed = {
        (method, reduce(lambda text, pair: text.replace(*pair), named.items(), path)) for method, path, *_ in ROUTES
    }
    assert served == listed


def test_http_person_who_opens_a_link_is_asked_to_log_in(
    url: str, job: str, headers: dict[str, dict[str, str]]
) -> None:
    """A browser asks for a name and a password where the challenge is Basic; programs are left alone."""
    address, page = f"{url}/query/jobs/{job}/query", {"Accept": "text/html,*/*;q=0.8"}
    asked = [httpx.get(address, headers=given).headers["www-authenticate"] for given in (page, {})]
    assert asked == ['Basic realm="multiblast"', 'Bearer realm="multiblast"']
    token = headers["owner"]["Authorization"].removeprefix("Bearer ")
    assert httpx.get(address, headers=page, auth=("", token)).status_code == 200


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("headers", "Authorization"),
        ("basic", ""),
        ("headers", "Auth-Key"),
        ("params", "Auth-Key"),
        ("params", "access_token"),
        ("cookies", "Authorization"),
    ],
)
def test_http_token_is_read_where_clients_put_it(
    url: str, headers: dict[str, dict[str, str]], job: str, place: str, name: str
) -> None:
    token = headers["owner"]["Authorization"].removeprefix("Bearer ")
    sent: dict[str, Any] = {
        place: {name: f"Bearer {token}" if (place, name) == ("headers", "Authorization") else token}
    }
    if place == "basic":
        sent = {"auth": ("whoever", token)}
    with httpx.Client(base_url=url, cookies=sent.pop("cookies", None)) as client:
        assert client.get(f"/query/jobs/{job}", **sent).status_code == 200
        both = client.get("/query/jobs", headers={"Authorization": f"Bearer {token}"}, params={"access_token": "other"})
        assert both.status_code == 400


def test_http_user_of_a_proxy_counts_only_with_the_secret(
    url: str, job: str, headers: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def code(**more: str) -> int:
        return httpx.get(f"{url}/query/jobs/{job}", headers={"X-User": "ann", **more}).status_code

    assert headers
    assert [code(), code(**{"X-Proxy-Secret": ""})] == [401, 401]
    monkeypatch.setenv(PROXY_SECRET, "s3cret")
    assert [code(), code(**{"X-Proxy-Secret": "wrong"}), code(**{"X-Proxy-Secret": "s3cret"})] == [401, 401, 200]


def test_http_guest_keeps_jobs_when_signing_in(url: str, headers: dict[str, dict[str, str]]) -> None:
    token = httpx.post(f"{url}/guests").json()["guestID"]
    guest, user = {"Authorization": f"Bearer {token}"}, headers["other"]
    request = config(FASTA.replace("First", "Guest's"))
    made = httpx.post(f"{url}/query/jobs", json=request, headers=guest).json()["queryJobID"]
    address = f"{url}/query/jobs/{made}"
    assert [httpx.get(address, headers=who).status_code for who in (guest, user)] == [200, 403]
    assert httpx.post(f"{url}/query/link-guest", json={"guestID": token}, headers=user).status_code == 204
    assert [httpx.get(address, headers=who).status_code for who in (guest, user)] == [403, 200]


def test_http_what_a_public_service_accepts_can_be_read_by_whoever_sent_it(
    services_under: Callable[..., Services],
) -> None:
    services = services_under(Policy.public())
    token = services.accounts.tokens.make("ann", "public")
    with (
        serving(services, HereStarter(services)) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        guest = client.post("/guests").json()["guestID"]
        sent = config(">p\nMKVLAAGIVPMKVLAAGIVPMKVLAAGIVP\n")
        for who in ({"Authorization": f"Bearer {one}"} for one in (token, guest)):
            job = client.post("/query/jobs", json=sent, headers=who).json()["queryJobID"]
            services.queries.run(job).execute()
            assert client.get(f"/query/jobs/{job}", headers=who).json()["status"] == "complete"
            assert client.get(f"/query/jobs/{job}/result", headers=who).status_code == 200
            assert [item["queryJobID"] for item in client.get("/query/jobs", headers=who).json()] == [job]
            assert client.get(f"/query/jobs/{job}").status_code == 401
        assert client.post("/query/jobs", json=sent).status_code == 401
    services.database.close()


def test_http_administrator_sees_failed_jobs(
    url: str, services: Services, owner: Requester, headers: dict[str, dict[str, str]]
) -> None:
    made = services.queries.create(owner, config(FASTA, eValue="0.25")).query_job_id
    services.queries.jobs.move_query([made], JobStatus.FAILED, "out of memory")
    token = headers["administrator"]["Authorization"].removeprefix("Bearer ")
    [broken] = httpx.get(f"{url}/query/maintenance/broken-jobs", headers={"Admin-Token": token}).json()
    assert (broken["queryJobID"], broken["reason"]) == (made, "out of memory")
    assert broken["rawConfig"] == {**config(eValue="0.25"), "blastConfig": {"tool": "blastp", "eValue": 0.25}}
    assert broken["failedOn"] >= broken["createdOn"]


def test_http_tokens_are_in_no_log(
    url: str, headers: dict[str, dict[str, str]], job: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = headers["owner"]["Authorization"].removeprefix("Bearer ")
    page = httpx.get(f"{url}/query/jobs", params={"access_token": token, "count": 1})
    assert token not in page.headers["link"]
    httpx.get(f"{url}/query/jobs/{job}", headers=headers["owner"])
    httpx.get(f"{url}/query/jobs/%0d%0aforged/{token[:0]}", params={"share_token": headers["share"]["Share-Token"]})
    served = [record.getMessage() for record in caplog.records if record.name.startswith("multiblast")]
    assert any(f"GET /query/jobs/{job} 200" in line for line in served)
    assert not [line for line in served if token in line or headers["share"]["Share-Token"] in line or "\n" in line]


@pytest.mark.parametrize(
    ("name", "trusted", "code"),
    [
        ("127.0.0.1", True, 200),
        ("localhost:4201", True, 200),
        ("[::1]:4201", True, 200),
        ("Blast.example.org", True, 200),
        ("elsewhere.example.org", True, 403),
        ("elsewhere.example.org:4201", True, 403),
        ("localhost.example.org", True, 403),
        ("127.0.0.1.example.org", True, 403),
        ("elsewhere.example.org", False, 401),
    ],
)
def test_http_page_elsewhere_cannot_pass_its_name_off_as_that_of_this_machine(
    services_under: Callable[..., Services], monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, code: int
) -> None:
    """People without a name may do everything here, so a page whose name stands for this machine could."""
    monkeypatch.setenv(HTTP_URL, "https://blast.example.org")
    services = services_under(Policy(trust_unnamed=trusted))
    with serving(services, HereStarter(services)) as address:
        answer = httpx.get(f"{address}/query/jobs", headers={"Host": name})
    assert answer.status_code == code
    assert (code != 403) or "set MULTIBLAST_HTTP_URL" in answer.json()["message"]
