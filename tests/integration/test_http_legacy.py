"""The surface 1.x: what the decoders of VEuPathDB's published client demand, restated; and that client itself."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from multiblast.database import JobStatus, QueryJob
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.http_service import HereStarter, config, serving
from tests.support.legacy_decoders import Failure, InvalidInput, LongJob, Report, ShortJob

FASTA = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"
TWO = FASTA + ">Second\nQKQRAYLRSMEEKARERRRIFIQNEQARLERFAKERAERQTTTTTTTTATTPTTTTPTTT\n"
CONFIG = {
    "tool": "blastp",
    "task": "blastp",
    "eValue": "10",
    "maxTargetSeqs": 100,
    "wordSize": 3,
    "softMasking": False,
    "lcaseMasking": False,
    "outFormat": {"format": "single-file-json"},
    "seg": "no",
    "gapOpen": 11,
    "gapExtend": 1,
    "matrix": "BLOSUM62",
    "compBasedStats": "conditional-comp-based-score-adjustment",
}
TARGETS = [{"organism": "examples", "target": "proteins"}]


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    return services_under(Policy(trust_unnamed=False))


@pytest.fixture(scope="module")
def token(services: Services) -> str:
    return services.accounts.tokens.make("ann", "site")


@pytest.fixture(scope="module")
def url(services: Services) -> Iterator[str]:
    with serving(services, HereStarter(services)) as address:
        yield f"{address}/multi-blast"


@pytest.fixture(scope="module")
def client(url: str, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Auth-Key": token}, timeout=60) as opened:
        yield opened


def create(client: httpx.Client, query: str = FASTA, **changes: Any) -> httpx.Response:
    search = {**CONFIG, "query": query, **changes}
    body = {"site": "demo", "targets": TARGETS, "config": search, "maxResultSize": 0, "description": "note"}
    return client.post("/jobs", json=body)


def poll(client: httpx.Client, address: str) -> dict[str, Any]:
    for _ in range(600):
        found: dict[str, Any] = client.get(address).raise_for_status().json()
        if found["status"] not in {"queued", "in-progress"}:
            return found
    raise AssertionError(f"{address} does not end")


@pytest.fixture(scope="module")
def job(client: httpx.Client) -> str:
    made = create(client, TWO)
    assert (made.status_code, list(made.json())) == (200, ["jobId"])
    assert poll(client, f"/jobs/{made.json()['jobId']}")["status"] == "completed"
    return str(made.json()["jobId"])


@pytest.fixture(scope="module")
def report(client: httpx.Client, job: str) -> str:
    made = client.post("/reports", json={"jobID": job, "format": "single-file-json"})
    Report.model_validate(made.json())
    assert poll(client, f"/reports/{made.json()['reportID']}")["files"] == ["report.json", "report.zip"]
    return str(made.json()["reportID"])


def test_legacy_job_is_as_decoders_demand(client: httpx.Client, job: str) -> None:
    long = LongJob.model_validate(client.get(f"/jobs/{job}").json())
    assert (long.description, [child.index for child in long.childJobs or ()]) == ("note", [1, 2])
    assert job in {item.id for item in TypeAdapter(list[ShortJob]).validate_python(client.get("/jobs").json())}


def test_legacy_form_makes_the_same_job(client: httpx.Client, job: str) -> None:
    body = {"site": "demo", "targets": TARGETS, "config": {**CONFIG, "query": None}}
    form = {"properties": (None, json.dumps(body)), "query": ("q.fasta", TWO)}
    assert client.post("/jobs", files=form).json() == {"jobId": job}


@pytest.mark.parametrize(
    "changes",
    [
        {"seg": {"window": 12, "locut": 2.2, "hicut": 2.6}},
        {"queryLoc": {"start": 2, "end": 40}},
        {"eValue": "0.001", "qCovHSPPerc": 50, "xDropGap": 16},
        {"compBasedStats": "none"},
        {"tool": "tblastn", "task": "tblastn"},
    ],
)
def test_legacy_configuration_comes_back_in_its_own_words(client: httpx.Client, changes: dict[str, Any]) -> None:
    kept = {name: value for name, value in CONFIG.items() if name in {"tool", "task", "eValue"}}
    targets = [{"organism": "examples", "target": "nucleotides" if "tool" in changes else "proteins"}]
    body = {"site": "demo", "targets": targets, "config": {**kept, **changes, "query": FASTA}}
    made = client.post("/jobs", json=body).json()["jobId"]
    found = client.get(f"/jobs/{made}").json()
    LongJob.model_validate(found)
    for name, value in {**kept, **changes}.items():
        assert found["config"][name] == (value | {"stop": 40} if name == "queryLoc" else value)


def test_legacy_job_says_what_was_submitted_beside_the_search(
    client: httpx.Client, services: Services, url: str, job: str
) -> None:
    """Of each user their own, though the job is the same; a sequence that was only looked up is secondary."""
    out = {"format": "tabular", "delim": ",", "fields": ["qseqid", "evalue"]}
    search = {**CONFIG, "query": FASTA.replace("First", "Noted")}
    body = {"site": "demo", "targets": TARGETS, "config": search}
    mine = {**body, "isPrimary": False, "maxResultSize": 7_000_000, "config": {**search, "outFormat": out}}
    made = client.post("/jobs", json=mine).json()["jobId"]
    token = services.accounts.tokens.make("zoe", "tests")
    with httpx.Client(base_url=url, headers={"Auth-Key": token}) as other:
        assert other.post("/jobs", json=body).json() == {"jobId": made}
        found = [one.get(f"/jobs/{made}").json() for one in (client, other)]
    assert [(one["isPrimary"], one["maxResultSize"]) for one in found] == [(False, 7_000_000), (True, 0)]
    assert [one["config"]["outFormat"] for one in found] == [out, CONFIG["outFormat"]]
    [listed] = [one for one in client.get("/jobs").json() if one["id"] == made]
    assert (listed["isPrimary"], listed["maxResultSize"]) == (False, 7_000_000)
    child = client.get(f"/jobs/{job}").json()["childJobs"][1]["id"]
    assert [client.get(f"/jobs/{one}").json()["isPrimary"] for one in (child, job)] == [False, True]
    wrong = {"isPrimary": "yes", "maxResultSize": -1, "config": {**search, "outFormat": {"format": "pdf"}}}
    refused = InvalidInput.model_validate(client.post("/jobs", json={**body, **wrong}).json())
    assert set(refused.errors.byKey) == {"isPrimary", "maxResultSize", "config.outFormat"}


def test_legacy_queues_are_ones_own(client: httpx.Client, services: Services, url: str) -> None:
    token, zoe = services.accounts.tokens.make("zoe", "queue"), services.accounts.requester("zoe")
    made = services.queries.create(zoe, config(FASTA.replace("First", "Waits"), eValue="0.07")).query_job_id
    answers = [httpx.get(f"{url}/queues/{kind}", headers={"Auth-Key": token}).json() for kind in ("blast", "reports")]
    assert answers == [[made], []]
    assert made not in client.get("/queues/blast").json()


@pytest.mark.parametrize(
    ("program", "options", "listed"), [("blastp", {"query_loc": "5-5"}, True), ("no-longer-there", {"speed": 3}, False)]
)
def test_legacy_job_with_options_that_are_refused_now_can_be_read(  # noqa: PLR0913, PLR0917 - one job, at each door
    client: httpx.Client, services: Services, url: str, program: str, options: dict[str, Any], listed: bool
) -> None:
    """As earlier versions took them, or a plugin that is gone; it can be filled in again, to be changed."""
    made = create(client, FASTA.replace("First", program)).json()["jobId"]
    poll(client, f"/jobs/{made}")
    with services.database.write() as session:
        job = session.get_one(QueryJob, made)
        job.program, job.status, job.recipe = program, JobStatus.FAILED, {**job.recipe, "options": options}
    assert (made in {one["id"] for one in client.get("/jobs").json()}) is listed
    service = url.removesuffix("/multi-blast")
    headers = {"Authorization": f"Bearer {client.headers['auth-key']}"}
    details = httpx.get(f"{service}/query/jobs/{made}", headers=headers).raise_for_status().json()
    (value,) = options.values()
    assert details["blastConfig"]["tool"] == program
    assert value in details["blastConfig"].values()
    page = {**headers, "Accept": "text/html"}
    assert httpx.get(f"{service}/jobs/{made}", headers=page).raise_for_status()
    if listed:
        assert f'value="{value}"' in httpx.get(f"{service}/?job={made}", headers=page).raise_for_status().text


def test_legacy_query_and_error_are_text(client: httpx.Client, job: str) -> None:
    query = client.get(f"/jobs/{job}/query", params={"download": "false"})
    assert query.headers["content-type"].startswith("text/plain")
    assert query.text.startswith(">First\n")
    assert "content-disposition" not in query.headers
    saved = client.get(f"/jobs/{job}/query", params={"download": "true"})
    assert saved.headers["content-disposition"] == f'attachment; filename="{job}-query.txt"'
    assert [client.get(f"/jobs/{job}/error").status_code, client.get(f"/jobs/{job}/error").content] == [404, b""]


def test_legacy_file_and_its_parts(client: httpx.Client, job: str, report: str) -> None:
    address = f"/reports/{report}/files/report.json"
    whole = client.get(address)
    assert whole.headers["content-type"].startswith("application/json")
    assert whole.headers["content-disposition"] == 'attachment; filename="report.json"'
    assert whole.json()["BlastOutput2"]
    lines = whole.content.splitlines(keepends=True)
    assert client.get(address, params={"lines": "2-3"}).content == b"".join(lines[1:3])
    for part, wanted in {
        "lines 1-2/*": b"".join(lines[:2]),
        "bytes 3-9/*": whole.content[3:10],
        f"bytes 5-{10**15}/*": whole.content[5:],
    }.items():
        answer = client.get(address, headers={"Content-Range": part})
        assert (answer.status_code, answer.content) == (200, wanted)
    assert client.get(address, headers={"Content-Range": "lines 1-2/*"}, params={"lines": "1-2"}).status_code == 400
    large = client.get(address, headers={"Content-Max-Length": "10"})
    assert (large.status_code, large.json()) == (
        400,
        {
            "status": "bad-request",
            "message": "Requested report is larger than the specified max content size.",
        },
    )
    TypeAdapter(list[Report]).validate_python(client.get("/reports", params={"job-id": job}).json())


def test_legacy_bad_requests_have_words_that_clients_know(client: httpx.Client, url: str, job: str) -> None:
    wrong = create(client, ">a\nMK!\n", eValue="-1", maxTargetSeqs=0)
    assert wrong.status_code == 422
    assert set(InvalidInput.model_validate(wrong.json()).errors.byKey) == {"eValue", "maxTargetSeqs"}
    assert set(create(client, ">a\nMK!\n").json()["errors"]["byKey"]) == {"query"}
    assert create(client, tool="psiblast").status_code == 422
    failures = {
        client.get("/jobs/nope"): 404,
        client.get("/jobs/748ba381dd81bb8de615319837ffa350"): 404,
        httpx.get(f"{url}/jobs/{job}"): 401,
        client.delete("/jobs"): 405,
        client.get("/nothing"): 404,
        client.post("/reports", content=b"{", headers={"Content-Type": "application/json"}): 400,
        client.post("/link-guest", json={"guestID": 42}): 400,
    }
    for answer, code in failures.items():
        assert answer.status_code == code
        assert b"\n" not in answer.content
        Failure.model_validate(answer.json())


def test_legacy_job_of_a_report_is_named_in_any_case_and_by_its_own_word(client: httpx.Client, job: str) -> None:
    made = [client.post("/reports", json={"jobID": one, "format": "tabular"}).json() for one in (job, job.upper())]
    assert made[0]["reportID"] == made[1]["reportID"]
    assert list(client.post("/reports", json={"format": "tabular"}).json()["errors"]["byKey"]) == ["jobID"]


def test_legacy_expired_job_runs_again_and_others_do_not(client: httpx.Client, services: Services) -> None:
    made = create(client, FASTA.replace("First", "Expires")).json()["jobId"]
    poll(client, f"/jobs/{made}")
    assert [client.post(f"/jobs/{one}", json={}).status_code for one in (made, "748ba381dd81bb8de615319837ffa350")] == [
        204,
        204,
    ]
    services.queries.jobs.move_query([made], JobStatus.EXPIRED)
    assert client.get(f"/jobs/{made}").json()["status"] == "expired"
    assert client.post(f"/jobs/{made}").status_code == 204
    assert poll(client, f"/jobs/{made}")["status"] == "completed"


def test_legacy_errored_job_has_a_description(client: httpx.Client, services: Services) -> None:
    body = {"site": "demo", "targets": TARGETS, "config": {**CONFIG, "query": FASTA.replace("First", "Fails")}}
    made = client.post("/jobs", json=body).json()["jobId"]
    poll(client, f"/jobs/{made}")
    services.queries.jobs.move_query([made], JobStatus.QUEUED, "for the test")
    services.queries.jobs.move_query([made], JobStatus.FAILED, "out of memory")
    assert client.get(f"/jobs/{made}").json()["description"] == "out of memory"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("letters", [30, 2_000_000])
def test_legacy_query_has_as_many_sequences_as_its_client_allows(
    client: httpx.Client, pack: Callable[[bytes], bytes], letters: int
) -> None:
    """However large: a large one comes as a file."""
    query = pack(b">one\n%b\n>two\nMKVLAAGIVGKVLLLPW\n" % (b"MKVLAAGIVG" * (letters // 10)))
    properties = {"site": "demo", "targets": TARGETS, "config": {"tool": "blastp"}, "maxSequences": 1}
    files = {"properties": (None, json.dumps(properties)), "query": ("q.fasta", query)}
    refused = client.post("/jobs", files=files)
    assert (refused.status_code, refused.json()["errors"]["byKey"]) == (422, {"query": ["more than 1 sequences"]})


def test_legacy_ids_suffice_for_accounts_where_the_policy_says_so(
    services: Services, url: str, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this surface alone, and for nobody without an account; who has read a job has it in the list from then on."""
    eve, guest = services.accounts.tokens.make("eve", "tests"), services.accounts.new_guest()

    def codes(address: str) -> list[int]:
        return [httpx.get(address, headers={"Auth-Key": key}).status_code for key in (eve, guest, "")]

    assert codes(f"{url}/jobs/{job}") == [403, 403, 401]
    http = services.policy.http.model_copy(update={"ids_suffice": True})
    monkeypatch.setattr(services, "policy", services.policy.model_copy(update={"http": http}))
    assert codes(f"{url.removesuffix('/multi-blast')}/query/jobs/{job}") == [403, 403, 401]
    assert codes(f"{url}/jobs/{job}") == codes(f"{url}/jobs/{job}/query") == [200, 200, 401]
    with services.database.write() as session:  # who waits for a job reads it again and again, and keeps nobody waiting
        assert session.get(QueryJob, job)
        assert codes(f"{url}/jobs/{job}") == [200, 200, 401]
    assert codes(f"{url.removesuffix('/multi-blast')}/query/jobs/{job}") == [200, 200, 401]


_CLIENT = Path(__file__).parents[1] / "support" / "veupathdb_client.cjs"


@pytest.fixture(scope="session")
def published_site() -> Path:
    """VEuPathDB's production site as published on npm, 108 MB, of which two files are kept."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are needed to run VEuPathDB's client")
    place = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "multiblast-tests" / "genomics-site-1.5.24"
    bundles = place / "package" / "dist" / "bundles" / "modern"
    if not bundles.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", "@veupathdb/genomics-site@1.5.24"], cwd=place, capture_output=True, text=True, check=False
        )
        if packed.returncode:
            pytest.skip(f"npm does not give VEuPathDB's client: {packed.stderr[-200:]}")
        [archive] = place.glob("*.tgz")
        wanted = [f"package/{name}" for name in ("package.json", "dist/bundles/modern")]
        subprocess.run(["tar", "xzf", archive.name, *wanted], cwd=place, check=True)
        archive.unlink()
        for file in bundles.iterdir():
            used = file.name == "site-client.bundle.js" or (
                file.suffix == ".js" and "conditional-comp-based-score-adjustment" in file.read_text(errors="replace")
            )
            if file.is_file() and not used:
                file.unlink()
    return place / "package"


def test_veupathdbs_published_client_works_unmodified(
    url: str, token: str, services: Services, client: httpx.Client, published_site: Path
) -> None:
    """Create by text and by file, poll, list, report, too large, errors, expired and rerun."""
    expired = create(client, FASTA.replace("First", "Expired")).json()["jobId"]
    poll(client, f"/jobs/{expired}")
    services.queries.jobs.move_query([expired], JobStatus.EXPIRED)
    given = {"site": str(published_site), "url": url, "token": token, "config": CONFIG, "targets": TARGETS}
    program = _CLIENT.with_name("veupathdb_walk.cjs")
    done = subprocess.run(
        ["node", str(program), json.dumps({**given, "query": TWO, "expired": expired})],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["refused"] == []
    assert found["report"] >= 1
    assert found["statuses"] == {"job": "completed", "expired": "expired", "rerun": "completed"}
    assert found["tooLarge"] == "too-large"
    assert found["errors"] == {"missing": "not-found", "bad": "invalid-input"}
