"""Files of jobs over HTTP: by range, without memory, from a bucket, sandboxed, and where pages of runs name them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from blocks.services import using
from multiblast.accounts import Requester
from multiblast.database import JobKind, JobStatus
from multiblast.environment import HTTP_URL
from multiblast.jobs import address_of
from multiblast.reports import Formatting
from multiblast.services import Services
from multiblast.settings import HttpRules, Policy
from tasks import page
from tests.support.http_service import HereStarter, config, ended, serving
from tests.support.people import ADMINISTRATOR
from tests.support.servers import S3Server

ONE = ">First\nIYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL\n"


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    return services_under(Policy(trust_unnamed=False))


@pytest.fixture(scope="module")
def job(client: httpx.Client) -> str:
    """A complete job."""
    made = str(client.post("/query/jobs", json=config(ONE)).raise_for_status().json()["queryJobID"])
    assert ended(client, f"/query/jobs/{made}")["status"] == "complete"
    return made


def test_http_file_whole_and_in_parts(client: httpx.Client, report: str) -> None:
    address = f"/report/jobs/{report}/files/report.tsv"
    whole = client.get(address)
    text, tag = whole.content, whole.headers["etag"]
    assert whole.headers["content-disposition"] == 'attachment; filename="report.tsv"'
    assert (whole.headers["content-length"], whole.headers["accept-ranges"]) == (str(len(text)), "bytes")

    def get(**headers: str) -> httpx.Response:
        return client.get(address, headers=headers)

    part = get(Range="bytes=5-9")
    assert (part.status_code, part.content) == (206, text[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(text)}"
    assert get(Range="bytes=-7").content == text[-7:]
    assert get(Range="bytes=5-").content == text[5:]
    assert get(Range="bytes=0-1,3-4").content == text
    assert get(Range="bytes=9-5").content == text
    beyond = get(Range=f"bytes={len(text)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(text)}")
    assert get(Range="bytes=0-1", **{"If-Range": '"old"'}).content == text
    assert get(Range="bytes=0-1", **{"If-Range": tag}).content == text[:2]
    unchanged = get(**{"If-None-Match": f'"x", {tag}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = client.head(address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(text)), b"")
    lines = text.splitlines(keepends=True)
    assert client.get(address, params={"lines": "2-3"}).content == b"".join(lines[1:3])
    assert set(client.get(address, params={"lines": "2-1"}).json()["errors"]["byKey"]) == {"lines"}
    assert client.get(address.replace(".tsv", ".txt")).status_code == 404
    assert client.get(f"/report/jobs/{report}/files/..%2F..%2Fjobs.sqlite").status_code == 404


def test_http_large_file_takes_no_memory(client: httpx.Client, report: str, services: Services, tmp_path: Path) -> None:
    """The server is in this process, and so is the reader, who keeps nothing."""
    size = 160 << 20
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(size)
    with (tmp_path / "large").open("rb") as stream:
        services.store.put("reports/large.txt", stream)
    files = services.queries.jobs.report(report).files
    large = {"name": "large.txt", "size": size, "key": "reports/large.txt"}
    services.reports.jobs.move_report(report, JobStatus.COMPLETE, files=[*files, large])
    process, read, most = psutil.Process(), 0, 0
    before = process.memory_info().rss
    with client.stream(
        "GET", f"/report/jobs/{report}/files/large.txt", headers={"Accept-Encoding": "identity"}
    ) as answer:
        for piece in answer.iter_raw():
            read += len(piece)
            most = max(most, process.memory_info().rss - before)
    assert read == size
    assert most < 64 << 20
    services.reports.jobs.move_report(report, JobStatus.COMPLETE, files=files)


def test_http_files_of_a_bucket_may_be_reached_by_signed_links(
    rclone_s3: S3Server, services_under: Callable[..., Services]
) -> None:
    """Only downloads: what a browser shows is streamed, as a bucket would put it into no sandbox."""
    policy = Policy(http=HttpRules(redirect_s=60))
    services = replace(services_under(policy), store=rclone_s3.store())
    job = services.queries.create(ADMINISTRATOR, config(ONE)).query_job_id
    services.queries.run(job).execute()
    made = services.reports.run(services.reports.submit(ADMINISTRATOR, job, Formatting(format="6"))).execute()
    with (
        serving(services, HereStarter(services)) as url,
        httpx.Client(base_url=f"{url}/report/jobs/{made.report_id}/files/", timeout=60) as client,
    ):
        answer = client.get("report.tsv")
        assert (answer.status_code, answer.headers["location"].startswith(rclone_s3.endpoint)) == (307, True)
        whole = client.get("report.tsv", params={"download": False})
        assert (whole.status_code, whole.headers["content-type"]) == (200, "text/tab-separated-values; charset=utf-8")
        followed = httpx.get(answer.headers["location"], headers={"Range": "bytes=0-9"})
        assert followed.content == whole.content[:10]  # rclone calls a part 200
        assert "report.tsv" in followed.headers["content-disposition"]
        parts = [client.head("report.tsv"), client.get("report.tsv", params={"lines": "1-1"})]
        assert [part.status_code for part in parts] == [200, 200]
        assert client.get("report.nix").status_code == 404


def test_http_html_report_is_sandboxed(client: httpx.Client, job: str) -> None:
    made = client.post("/report/jobs", json={"queryJobID": job, "blastConfig": {"formatType": "html"}}).json()
    ended(client, f"/report/jobs/{made['reportJobID']}")
    page = client.get(f"/report/jobs/{made['reportJobID']}/files/report.html", params={"download": "false"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")


def test_http_links_on_pages_of_runs_open(
    client: httpx.Client, services: Services, job: str, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a run's page names of a job, a report and a comparison."""
    monkeypatch.setenv(HTTP_URL, f"{client.base_url}/")
    key = services.queries.jobs.report(report).files[0]["key"]
    name = services.queries.keep_comparison(job, services.queries.compare(Requester(administrator=True), job, job))
    lines = page.job_links(job) + page.file_link(report, key, "report.tsv")
    links = re.findall(r"\((http[^)]+)\)", lines)
    assert len(links) == 6
    opened = [client.get(link) for link in [*links, address_of(JobKind.QUERY, job, "comparisons", name)]]
    assert [answer.status_code for answer in opened] == [200] * 7
    with services.store.open(key) as stream:
        assert opened[4].content == opened[5].content == stream.read()
    assert "content-disposition" not in opened[4].headers
    assert opened[6].text.startswith("position\tsequence\tsubject\tchange")
    for wrong in (name.replace(name[:4], "0000"), "..%2Fx", f"{'0' * 32}.tsv"):
        assert client.get(f"/query/jobs/{job}/comparisons/{wrong}").status_code == 404


def test_http_without_a_service_pages_name_places(
    services: Services, report: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HTTP_URL, raising=False)
    key = services.queries.jobs.report(report).files[0]["key"]
    with using(services):
        assert page.file_link(report, key, "report.tsv") == f"`{services.store.locate(key)}`"
    assert not page.job_links(report)
