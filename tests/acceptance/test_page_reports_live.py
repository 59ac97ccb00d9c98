"""Reports that are ticked on the page to search in: on the job's page once they are made, by a real service."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from multiblast.sequences import read_fasta
from tests.support.page_walks import NewContext, browsing, check_accessible

pytestmark = [pytest.mark.long, pytest.mark.browser]

_PATIENCE_MS = 200_000  # with the start of a run


@pytest.fixture
def new_context(browser: Browser, live: dict[str, str]) -> Iterator[NewContext]:
    """Make somebody's browser, on the pages of the HTTP service."""
    prefect = urlsplit(live["UI_URL"])
    with browsing(browser, f"http://{prefect.hostname}:{(prefect.port or 0) + 1}") as make:
        yield make


def test_ticked_reports_are_on_the_page_when_the_search_is_done(new_context: NewContext, examples: Path) -> None:
    with gzip.open(examples / "proteins.fasta.gz") as stream:
        query = b"".join(sequence.canonical for sequence in islice(read_fasta(stream.read()), 150, 350))
    page = new_context(bypass_csp=True).new_page()
    page.goto("/")
    page.get_by_label("Choose a file", exact=False).first.set_input_files(
        {"name": "q.fasta", "mimeType": "text/plain", "buffer": query}
    )
    page.locator(".database").filter(has_text="proteins").first.get_by_role("checkbox").check()
    page.get_by_text("Reports", exact=True).click()
    expect(page.get_by_role("checkbox", name="html page, to look at")).to_be_checked()
    page.get_by_role("checkbox", name="6 tabular", exact=True).check()
    check_accessible(page)
    page.get_by_role("button", name="BLAST", exact=True).click()
    reports = page.get_by_role("region", name="Reports")
    expect(reports.get_by_text("6 tabular: made as soon as the search is done")).to_be_visible()
    check_accessible(page)
    expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=_PATIENCE_MS)
    expect(reports.get_by_role("link")).to_have_count(2, timeout=_PATIENCE_MS)
    for name, start in (("6 tabular", b"[^\t\n]+\t[^\t\n]+\t[0-9.]+\t"), ("html page, to look at", b"<!doctype html>")):
        with page.expect_download() as download:
            reports.get_by_role("link", name=name).click()
        assert re.match(start, Path(download.value.path()).read_bytes())
