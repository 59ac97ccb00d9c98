"""Pages of jobs follow what becomes of these, and say what to do next; one service for all."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import httpx
import pytest
from playwright.sync_api import Browser, expect

from multiblast.accounts import Requester
from multiblast.actions.job_door import ABANDONED
from multiblast.database import JobStatus
from multiblast.errors import FailureClass
from multiblast.reports import Formatting
from multiblast.results.holders import new_process_run
from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.http_service import HereStarter, config, serving
from tests.support.page_walks import PROTEIN, NewContext, check_accessible, sign_in
from tests.support.servers import free_ports
from web import runs
from web.pages import texts

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services]) -> Services:
    """Services for guests and users."""
    return services_under(Policy(trust_unnamed=False, administrators=frozenset({"root"})))


@pytest.mark.long
def test_results_are_read_while_others_are_searched(new_context: NewContext, services: Services) -> None:
    """Of sixty sequences two are done; the table has pages."""
    who, jobs = Requester(administrator=True), services.queries.jobs
    fasta = [f">s{number}\n{PROTEIN}{'Y' * (number + 1)}\n" for number in range(60)]
    first = services.queries.create(who, config("".join(fasta[:2]))).query_job_id
    services.queries.run(first).execute()
    job_id = services.queries.create(who, config("".join(fasta))).query_job_id
    jobs.move_query([job_id], JobStatus.IN_PROGRESS)
    page = new_context(bypass_csp=True).new_page()
    sign_in(page, services, "root")
    page.goto(f"/jobs/{job_id}")
    expect(page.get_by_role("heading", name="Searching")).to_be_visible()
    expect(page.get_by_label("2 of 60 sequences have a result")).to_have_js_property("value", 2)
    expect(page.get_by_text("left", exact=False).first).to_be_visible()
    check_accessible(page)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("51 to 60 of 60")).to_be_visible()
    page.get_by_role("link", name="Previous").click()
    page.get_by_role("link", name="s1", exact=True).click()
    expect(page.get_by_role("img", name="Map of where")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()


def test_page_goes_on_by_itself_when_the_service_is_restarted(
    browser: Browser, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_RESUME_AFTER", timedelta(seconds=1))
    [port], starter = free_ports(1), HereStarter(services, away=True)
    page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
    with serving(services, starter, port=port):
        page.goto("/")
        page.get_by_label("Paste FASTA").fill(f">restarted\n{PROTEIN}E\n")
        page.get_by_role("checkbox", name="Demo proteins").check()
        page.get_by_role("button", name="BLAST", exact=True).click()
        expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible()
    starter.away = False
    with serving(services, starter, port=port):
        expect(page.get_by_role("heading", name="Done")).to_be_visible()
        expect(page.get_by_role("img", name="Map of where")).to_be_visible()
        page.context.close()


def test_what_is_typed_stays_when_the_job_is_done(new_context: NewContext, services: Services) -> None:
    """The page says that the job is done, is loaded anew once the notes are sent, and stays where they were typed."""
    job_id = services.queries.create(Requester("root"), config(f">noted\n{PROTEIN}WHM\n")).query_job_id
    page = new_context().new_page()
    sign_in(page, services, "root")
    page.goto(f"/jobs/{job_id}")
    notes = page.get_by_label("Notes")
    notes.fill("for Figure 2")
    services.queries.run(job_id).execute()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(notes).to_have_value("for Figure 2")
    page.get_by_role("button", name="Save name and notes").click()
    expect(page.get_by_role("heading", name="Download")).to_be_visible()
    expect(notes).to_have_value("for Figure 2")
    expect(page.get_by_role("heading", name="Keep and share")).to_be_in_viewport()


def test_page_stays_as_it_is_when_a_report_is_made(new_context: NewContext, services: Services) -> None:
    """Who reads or fills in a page of a job that is done is not disturbed by a report that becomes ready."""
    who, wanted = Requester("root", administrator=True), services.wanted_reports
    job_id = services.queries.create(who, config(f">read\n{PROTEIN}WHK\n")).query_job_id
    wanted.record(who, job_id, [Formatting.read("7")])
    services.queries.run(job_id).execute()
    page = new_context().new_page()
    sign_in(page, services, "root")
    page.goto(f"/jobs/{job_id}")
    reports = page.get_by_role("region", name="Reports")
    expect(reports.get_by_role("listitem")).to_have_text(re.compile("^7 .*: "))
    columns = page.get_by_label("Columns of formats")
    columns.fill("qseqid stitle")
    (report,) = wanted.begin(job_id)
    services.reports.run(report.job_id).execute()
    expect(reports.get_by_role("link", name="7 ")).to_be_visible()
    expect(columns).to_have_value("qseqid stitle")


def test_job_that_cannot_be_begun_says_why_and_only_to_an_administrator_what_to_type(
    url: str, services: Services, starter: HereStarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_LOOKS_EVERY_S", 0.0)
    monkeypatch.setattr(starter, "away", True)
    job_id = services.queries.create(Requester("ann"), config(f">begun\n{PROTEIN}WWK\n")).query_job_id
    typed = "It cannot be begun: nobody is here: `make up` starts somebody."

    (report,) = services.wanted_reports.record(Requester("ann"), job_id, [Formatting.read("7")])

    def page(user: str, more: str = "") -> str:
        token = services.accounts.tokens.make(user, f"begin {starter.away} {len(more)}")
        headers = {"Authorization": f"Bearer {token}"}
        return unescape(httpx.get(f"{url}/jobs/{job_id}{more}", headers=headers).text)

    said = {user: page(user) for user in ("root", "ann")}
    assert {user: [text in said[user] for text in (typed, texts.CANNOT_BEGIN)] for user in said} == {
        "root": [True, False],
        "ann": [False, True],
    }
    assert "make up" not in said["ann"]
    assert typed in page("root", f"/reports/{report}")
    starter.away = False
    assert typed not in page("root")


def ended_process_run() -> str:
    """Return the id of a run that was a process."""
    code = "from multiblast.results.holders import new_process_run; print(new_process_run())"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_each_state_of_a_job_says_what_to_do_next(url: str, services: Services) -> None:
    """Waiting, interrupted, failed by each class, cancelled, partly failed and expired; read as an administrator."""
    who, jobs = Requester("root", administrator=True), services.queries.jobs
    token = services.accounts.tokens.make("root", "states")
    query = "".join(f">s{number}\n{PROTEIN}{'W' * (number + 1)}\n" for number in range(2 + len(FailureClass)))
    job_id = services.queries.create(who, config(query)).query_job_id
    job = jobs.query(job_id)

    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:

        def check(state: texts.StatusText, *more: str) -> None:
            page = unescape(client.get(f"/jobs/{job_id}").text)
            assert [text for text in (state.title, state.next, *more) if text not in page] == []

        check(texts.STATUSES["queued"], "Place in the queue")
        jobs.move_query([job_id], JobStatus.IN_PROGRESS, run_id=new_process_run())
        check(texts.STATUSES["in-progress"], "Cancel")
        jobs.move_query([job_id], JobStatus.QUEUED)
        jobs.move_query([job_id], JobStatus.IN_PROGRESS, run_id=ended_process_run())
        check(texts.ABANDONED, ABANDONED, "Search again")
        assert "in-progress</span> interrupted" in client.get("/jobs").text
        keys = [child.result_key for child in jobs.children(job)]
        for key, why in zip(keys, FailureClass, strict=False):
            services.queries.results.fail(key, why, f"{why}: made up", "nobody")
        jobs.stop(job, JobStatus.FAILED, "made up")
        reasons = [f"1 \N{MULTIPLICATION SIGN} {texts.FAILURES[why]}" for why in FailureClass]
        check(texts.STATUSES["failed"], "made up", "Search again", *reasons)
        jobs.move_query([job_id], JobStatus.EXPIRED, "made up")
        check(texts.STATUSES["expired"], "Search again")
        jobs.move_query([job_id], JobStatus.QUEUED, "made up")
        jobs.stop(job, JobStatus.CANCELLED, "made up")
        check(texts.STATUSES["cancelled"], "Search again")
        jobs.move_query([job_id], JobStatus.COMPLETE)
        check(texts.PARTLY)
