"""People walk through the service's pages in a real browser; one service for all of them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from multiblast.accounts import Requester
from multiblast.reports import Formatting
from multiblast.sequences import read_fasta
from multiblast.services import Services
from multiblast.settings import Policy
from multiblast.targets.makeblastdb import build_database
from tests.support.http_service import HereStarter, config
from tests.support.page_walks import EXAMPLES, HOSTILE, PROTEIN, NewContext, check_accessible, sign_in, submit
from web.pages.visitor import SESSION

pytestmark = pytest.mark.browser
FIRST_PAGE_BYTES = 150_000


@pytest.fixture(scope="module")
def services(services_under: Callable[..., Services], tmp_path_factory: pytest.TempPathFactory) -> Services:
    """Services for guests and users, with a database of an ordinary title and one of a hostile title."""
    root = tmp_path_factory.mktemp("targets")
    blast = root / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "proteins.fasta.gz", blast, "proteins", molecule="protein", title="Demo proteins")
    hostile = root / "hostile.fasta"
    hostile.write_text(f">subject {HOSTILE}\n{PROTEIN}\n")
    build_database(hostile, blast, "hostile", molecule="protein", title=HOSTILE)
    return services_under(Policy(trust_unnamed=False, administrators=frozenset({"root"})), root=root)


def check_further_pages(page: Page, services: Services, job: str) -> None:
    """Make sure that axe finds nothing wrong with those pages that other walks pass by."""
    job_id = job.rpartition("/")[2]
    report = services.reports.submit(Requester(administrator=True), job_id, Formatting.read("7"))
    for address in ("/sign-in", f"/jobs/{'0' * 32}", f"/jobs/{job_id}/reports/{report}"):
        page.goto(address)
        check_accessible(page)


def replace_database(page: Page, fasta: Path, text: str) -> None:
    """Let an administrator replace the database of `test_administrator_makes_tokens_and_databases`."""
    fasta.write_text(text)
    page.get_by_label("Name: SITE").fill("demo/new/mine")
    page.get_by_label("Title", exact=True).fill("Mine")
    page.get_by_label("File (FASTA").set_input_files(fasta)
    page.get_by_label("Replace one of that name").check()
    page.get_by_role("button", name="Add the database").click()
    expect(page.get_by_role("rowheader", name="demo/new/mine")).to_be_visible()


def check_overview(page: Page) -> None:
    """Find one of several sequences, and sort them, without loading the page anew."""
    page.evaluate("window.stays = true")
    page.get_by_label("Find a sequence or best hit").fill("HCN2")
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    page.get_by_role("link", name="E-value").press("Enter")
    expect(page.get_by_role("columnheader", name="E-value")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("link", name="E-value")).to_be_focused()
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible()
    assert page.evaluate("window.stays")  # it was not loaded anew
    page.reload()
    expect(page.get_by_label("Find a sequence or best hit")).to_have_value("HCN2")


def check_choice(page: Page) -> None:
    """Choose a hit, and download its sequence, the aligned part and the whole."""
    page.get_by_role("checkbox", name="Choose sp|Q9JKA9|HCN2_RAT").check()
    page.get_by_label("Find a subject").fill("nothing like it")  # what is ticked stays so
    expect(page.get_by_role("checkbox", name="Choose sp|Q9JKA9|HCN2_RAT")).to_have_count(0)
    for part, length in (("Aligned parts", 60), ("Whole subjects", 834)):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"{part} of ticked hits").click()
        (record,) = read_fasta(Path(download.value.path()))
        assert record.defline.startswith(b"sp|Q9JKA9|HCN2_RAT")
        assert len(record.residues) >= length


def test_biologist_searches_reads_downloads_and_finds_it_again(new_context: NewContext) -> None:
    context = new_context(bypass_csp=True)  # for axe alone; the other walks keep the policy
    page, answers = context.new_page(), []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks what it calls
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert sum(len(answer.body()) for answer in answers) <= FIRST_PAGE_BYTES
    page.get_by_label("Choose a file", exact=False).first.set_input_files(
        {
            "name": "q.fasta.gz",
            "mimeType": "application/gzip",
            "buffer": gzip.compress((EXAMPLES / "protein_query.fasta").read_bytes()),
        }
    )
    page.get_by_role("checkbox", name="Demo proteins").check()
    expect(page.locator("#recognised")).to_contain_text("12 protein sequences")
    expect(page.locator("#recognised")).to_contain_text("blastp")
    check_accessible(page)
    page.get_by_label("Find a database").fill("nothing like it")
    expect(page.get_by_role("checkbox", name="Demo proteins")).to_be_hidden()
    page.get_by_label("Find a database").fill("demo prot")
    page.get_by_role("button", name="BLAST", exact=True).click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_role("table", name="Sequences with their best hits").get_by_role("row")).to_have_count(13)
    check_accessible(page)
    job = page.url

    check_overview(page)
    page.get_by_role("link", name="sp|Q9JKA9|HCN2_RAT", exact=True).click()
    expect(page.get_by_role("img", name="Map of where")).to_be_visible()
    expect(page.get_by_role("link", name="at its source").first).to_have_attribute("href", re.compile("uniprot"))
    expect(page.get_by_role("columnheader", name="Organism")).to_be_visible()
    page.locator(".toggle").first.click()
    expect(page.locator(".hsp pre").first).to_contain_text("Query")
    expect(page.get_by_role("img", name=re.compile("Bit score of .* hits"))).to_be_visible()
    check_accessible(page)
    check_choice(page)

    page.goto(job)
    for name, start in (
        ("6", b"sp|Q9DC28|KC1D_MOUSE\t"),
        ("5", b"<?xml"),
        ("html", b"<!doctype html>"),
        ("parquet", b"PAR1"),
    ):
        page.get_by_label("Format", exact=True).select_option(name)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert Path(download.value.path()).read_bytes().startswith(start)
    page.get_by_label("Name", exact=True).fill("Kinases and others")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_role("heading", name="Kinases and others")).to_be_visible()
    page.get_by_role("button", name="Keep for good").click()
    page.get_by_role("link", name="My jobs").click()
    check_accessible(page)
    page.get_by_label("Find by name").fill("kinases")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="Kinases and others")).to_be_visible()
    page.goto(job)
    page.get_by_role("link", name="Edit and search again").click()
    expect(page.get_by_label("Paste FASTA")).to_have_value(re.compile("KC1D_MOUSE"))
    expect(page.get_by_role("checkbox", name="Demo proteins")).to_be_checked()


def test_biologist_drops_a_file_and_chooses_program_and_options(new_context: NewContext) -> None:
    """A file that was dropped stays while options are shown; what was chosen is what is searched and said."""
    context = new_context(bypass_csp=True)
    page, kinase = context.new_page(), next(read_fasta(EXAMPLES / "protein_query.fasta")).residues.decode()
    page.goto("/")
    facts = re.compile("protein · [0-9,]+ sequences · [0-9,]+ letters · 20[0-9-]+ · demo/examples/proteins|proteins")
    expect(page.locator(".database").filter(has_text="Demo proteins")).to_contain_text(facts)
    page.get_by_role("checkbox", name="Demo proteins").check()
    dropped = page.evaluate_handle(
        "(text) => { const one = new DataTransfer(); one.items.add(new File([text], 'q.fasta')); return one; }",
        f">dropped\n{kinase}F\n",
    )
    page.dispatch_event("#query", "drop", {"dataTransfer": dropped})
    expect(page.locator("#recognised")).to_have_text("1 protein sequence, none known yet. Program: blastp.")
    page.get_by_label("Paste FASTA").fill(PROTEIN)  # of two queries, neither is left out without a word
    expect(page.locator("#recognised")).to_contain_text("in the field and in a file")
    page.get_by_label("Paste FASTA").fill("")
    page.get_by_label("Find a database").fill("nothing like it")
    page.get_by_text("Reports", exact=True).click()
    expect(page.get_by_role("checkbox", name="html")).to_be_visible()  # which are no databases
    page.get_by_label("Find a database").fill("")
    page.get_by_text("Options", exact=True).click()
    page.get_by_role("button", name="psiblast").click()
    expect(page.get_by_label("Program")).to_have_value("psiblast")
    evalue = page.get_by_label("evalue", exact=True)
    expect(evalue).to_have_attribute("placeholder", "10.0")
    expect(page.locator("#help-evalue")).not_to_be_empty()
    check_accessible(page)
    evalue.fill("much")
    evalue.press("Tab")
    expect(page.locator("#recognised")).to_contain_text("evalue")
    evalue.fill("")
    page.get_by_label("word_size", exact=True).fill("2")
    page.get_by_label("Preset").select_option("Only close hits")
    expect(page.locator("#recognised")).to_contain_text("Program: psiblast")
    page.get_by_role("button", name="BLAST", exact=True).click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text(re.compile("evalue 1e-20.*|wordSize 2|word_size 2"))
    command = page.get_by_label("The exact command").inner_text()
    assert command.startswith("psiblast -query")
    assert {"-evalue", "1e-20", "-word_size", "2"} <= set(command.split())
    address = f"/query/jobs/{page.url.rpartition('/')[2]}/hits"
    assert address in page.get_by_label("By curl").inner_text()
    (token,) = (cookie["value"] for cookie in context.cookies() if cookie["name"] == SESSION)
    said = {"token": token}
    exec(page.get_by_label("In Python").inner_text(), said)  # noqa: S102 - the page says that this works
    assert said["hits"]["total"] >= 1
    page.get_by_label("Columns of formats").fill("qseqid stitle")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert re.match("dropped\t[^\t\n]+\n", Path(download.value.path()).read_text())
    page.get_by_role("link", name="Edit and search again").click()
    expect(page.locator("#recognised")).to_contain_text("all known: the result is there at once")


def test_administrator_makes_tokens_and_databases(new_context: NewContext, services: Services, tmp_path: Path) -> None:
    page = new_context(bypass_csp=True).new_page()
    sign_in(page, services, "root")
    page.get_by_role("link", name="Administration").click()
    page.get_by_label("User", exact=True).fill("carla")
    page.get_by_role("button", name="Make a token").click()
    token = page.get_by_label("New token").input_value()
    assert services.accounts.bearer(token).owner == "carla"
    check_accessible(page)
    page.get_by_role("button", name="Revoke token pages of carla").click()
    expect(page.get_by_role("button", name="Revoke token pages of carla")).to_have_count(0)
    fasta = tmp_path / "mine.fasta"
    fasta.write_text(f">mine\n{PROTEIN}\n")
    page.get_by_label("Name: SITE").fill("demo/new/mine")
    page.get_by_label("Title", exact=True).fill("Mine")
    page.get_by_label("File (FASTA").set_input_files(fasta)
    page.get_by_role("button", name="Add the database").click()
    expect(page.get_by_role("rowheader", name="demo/new/mine")).to_be_visible()
    job = submit(page, f">q\n{PROTEIN}\n", "Mine")
    check_further_pages(page, services, job)
    page.goto("/administration")
    replace_database(page, fasta, f">other\n{PROTEIN[::-1]}\n>mine\n{PROTEIN}A\n")
    page.goto(job)
    page.get_by_role("link", name="Edit and search again").click()
    page.get_by_role("button", name="BLAST", exact=True).click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    page.get_by_role("link", name="Compare with before").click()
    expect(page.get_by_role("heading", name="What changed with the database")).to_be_visible()
    check_accessible(page)
    administrator = services.accounts.requester("root")
    waiting = services.queries.create(administrator, config(f">waits\n{PROTEIN}WAIT\n")).query_job_id
    page.goto("/administration")
    expect(page.get_by_role("row", name=waiting)).to_contain_text("blastp")
    expect(page.get_by_text(re.compile(r"^[\d,.]+ GiB of [\d,.]+ GiB are free where results are kept"))).to_be_visible()
    services.queries.cancel(administrator, waiting)
    page.get_by_role("button", name="Retire demo/new/mine").click()
    expect(page.get_by_role("rowheader", name="demo/new/mine")).to_have_count(0)
    expect(page.get_by_role("rowheader", name="demo/examples/proteins")).to_be_visible()


def test_two_users_and_a_guest_see_their_own_jobs_only(new_context: NewContext, services: Services) -> None:
    ann, bob, guest = (new_context().new_page() for _ in range(3))
    sign_in(ann, services, "ann")
    sign_in(bob, services, "bob")
    job = submit(ann, f">anns\n{PROTEIN}A\n")
    guests = submit(guest, f">guests\n{PROTEIN}C\n")
    for page, address in ((bob, job), (guest, job), (ann, guests)):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_role("heading", name="It did not work")).to_be_visible()
    ann.goto(job)
    ann.get_by_role("button", name="Share by link").click()
    link = ann.get_by_label("Link to share").input_value()
    bob.goto(link)
    expect(bob.get_by_role("heading", name="Done")).to_be_visible()
    expect(bob.get_by_role("button", name="Keep for good")).to_have_count(0)  # to read is not to change
    ann.goto(job)
    ann.get_by_role("button", name="Take all links back").click()
    answer = bob.goto(job)
    assert answer is not None
    assert answer.status == 403
    sign_in(guest, services, "gus")
    guest.get_by_role("link", name="My jobs").click()
    expect(guest.get_by_role("link", name="guests")).to_be_visible()
    forged = bob.request.post(f"{job}/cancel", form={"form_token": "0" * 64})
    assert forged.status == 403
    own = bob.locator("input[name=form_token]").first.get_attribute("value") or ""
    assert bob.request.post(f"{job}/cancel", form={"form_token": own}).status == 403


def test_hostile_texts_are_text(new_context: NewContext) -> None:
    page = new_context().new_page()
    submit(page, f">query {HOSTILE}\n{PROTEIN}\n", HOSTILE, summary=HOSTILE)
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    page.locator(".toggle").first.click()
    expect(page.locator("#query")).to_contain_text("onerror")
    job = page.url
    for address in ("/", "/jobs", f"/?job={job.rpartition('/')[2]}", f"{job}/sequences/1", f"/jobs?find={HOSTILE}"):
        page.goto(address)
    page.goto("/")
    page.get_by_label("Choose a file", exact=False).first.set_input_files(
        {"name": f"{HOSTILE}.fasta", "mimeType": "text/plain", "buffer": f">{HOSTILE}\n#!\n".encode()}
    )
    page.get_by_role("button", name="BLAST", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("window.hurt") is None


@pytest.mark.parametrize("way", ["keyboard", "phone"])
def test_search_by_keyboard_and_on_a_phone(new_context: NewContext, way: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    page = new_context(**phone if way == "phone" else {}).new_page()
    if way == "phone":
        submit(page, f">phone\n{PROTEIN}\n")
    else:
        page.goto("/")
        for _ in range(30):
            page.keyboard.press("Tab")
            name = page.evaluate("document.activeElement.id || document.activeElement.value")
            if name == "query":
                page.keyboard.type(PROTEIN)
            elif name == "protein:demo/examples/proteins":
                page.keyboard.press("Space")
            elif name == "blast":
                page.keyboard.press("Enter")
                break
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_role("img", name="Map of where")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_without_javascript_one_submits_waits_and_downloads(new_context: NewContext, starter: HereStarter) -> None:
    page = new_context(java_script_enabled=False).new_page()
    starter.away = True
    try:
        page.goto("/")
        page.get_by_label("Paste FASTA").fill(f">quiet\n{PROTEIN}D\n")
        page.get_by_role("checkbox", name="Demo proteins").check()
        page.get_by_role("button", name="BLAST", exact=True).click()
        expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible()
        expect(page.get_by_text("Place in the queue: 1")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    finally:
        starter.away = False
    page.get_by_role("button", name="Search again").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()  # it looks again by itself
    expect(page.get_by_role("table", name="Hits, best first")).to_be_visible()
    page.get_by_role("checkbox", name="Choose").first.check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Whole subjects of ticked hits").click()
    assert Path(download.value.path()).read_bytes().startswith(b">")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).stat().st_size
