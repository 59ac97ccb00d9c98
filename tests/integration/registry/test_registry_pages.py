"""The pages of the local registry: what they show, to whom, and that nothing in them is taken for markup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from playwright.sync_api import Browser

from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.local.records import name_object
from multiblast.registry.model.names import ProductName
from multiblast.registry.views.catalogue import catalogue
from web.registry.serving import serving

KEY = "k" * 22
HOSTILE = "<script>alert(1)</script>"


@contextmanager
def opened(here: Any, key: str = "") -> Iterator[httpx.Client]:
    """A client of the registry, served; no TLS, whose certificates take long to read."""
    with (
        serving(LocalApi(here, here.user()), key) as address,
        httpx.Client(base_url=address.removesuffix("api/"), follow_redirects=True, verify=False) as client,  # noqa: S501
    ):
        yield client


@pytest.fixture
def visitor(here: Any) -> Iterator[httpx.Client]:
    """Somebody who opened the address that the command printed."""
    with opened(here, KEY) as client:
        assert client.get("/", params={"key": KEY}).status_code == 200
        yield client


def test_registry_pages_lead_from_a_name_to_its_run_and_its_file(here: Any, visitor: httpx.Client) -> None:
    first = here.product("params/a", "one", authors=[here.author("Ann", "https://orcid.org/ann")])
    here.product("params/a", "newer", "1.10.0")
    last = here.product("results/b", "two")
    here.describe(last)
    here.run([first], [last], "fit the model")
    home = visitor.get("/").text
    assert home.index("results/b") < home.index("params/a")  # the newest first
    assert home.index(">1.10.0") < home.rindex(">1.0.0")
    page = visitor.get("/item/rich:results/b@1.0.0").text
    for words in ("about results/b", "fit the model", "severity 5: worse", "CC0", "Download the file"):
        assert words in page
    (run,) = [line.split('"')[0] for line in page.split('href="') if line.startswith("/item/") and "fit" in line]
    page = visitor.get(run).text
    assert page.index("Read</h2>") < page.index("rich:params/a@1.0.0") < page.index("Written</h2>")
    (picture,) = [line.split('"')[0] for line in page.split('src="') if line.startswith("/provenance/")]
    drawn = visitor.get(picture)
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in drawn.headers["content-security-policy"]
    assert "rich:params/a@1.0.0" in "".join(ET.fromstring(drawn.text).itertext())  # noqa: S314 - our own
    file = visitor.get(f"/files/{last.sha1}", params={"name": "results-b-1.0.0.csv"})
    assert file.content == b"two"
    assert file.headers["content-disposition"] == 'attachment; filename="results-b-1.0.0.csv"'


def test_registry_pages_find_by_name_and_description(here: Any, visitor: httpx.Client) -> None:
    here.run([here.product("params/a", "one")], [here.product("results/b", "two")], "fit the model")
    found = visitor.get("/", params={"find": "FIT"}).text
    assert ("fit the model" in found, "params/a" in found) == (True, False)
    found = visitor.get("/", params={"find": "results/"}).text
    assert ("results/b" in found, "params/a" in found, "Code runs" in found) == (True, False, False)
    assert "There is none of that kind" in visitor.get("/", params={"find": "%"}).text


def test_registry_pages_go_on_with_older_products(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiblast.registry.views.catalogue._MOST", 3)
    item = here.product("p/0", "0")
    with here.writing() as session:
        for number in range(1, 5):
            name_object(session, ProductName("rich", f"p/{number}", "1.0.0"), item.object_id)
    first = catalogue(here)
    rest = catalogue(here, before=first.before)
    names = [one.name for one in (*first.products, *rest.products)]
    assert names == [f"p/{number}" for number in reversed(range(5))]
    assert rest.before == 0


def test_registry_pages_escape_everything(here: Any, visitor: httpx.Client) -> None:
    item = here.product(f"x{HOSTILE.replace('/', '')}", "content", description=HOSTILE, file_type=HOSTILE)
    here.run([item], [here.product("y", "y", namespace="a&b")], HOSTILE)
    pages = [visitor.get("/").text, visitor.get("/", params={"find": HOSTILE}).text]
    links = {line.split('"')[0].replace("&amp;", "&") for page in pages for line in page.split('href="')[1:]}
    pages += [visitor.get(link).text for link in links if link.startswith("/item/")]
    assert len(pages) == 5
    pages += [visitor.get(f"/item/{HOSTILE}").text, visitor.get("/nothing").text]
    assert any("&lt;script&gt;" in page for page in pages)
    assert not [page for page in pages if "<script" in page]


def test_registry_pages_are_for_whoever_has_the_key(here: Any) -> None:
    product = here.product("params/a", "one")
    places = ["/", "/item/rich:params/a@1.0.0", f"/files/{product.sha1}", "/?key=wrong", "/?key=%C3%A9"]
    with opened(here, KEY) as client:
        for place in places:
            answer = client.get(place)
            assert (answer.status_code, "multiblast registry serve" in answer.text) == (403, True)
            assert "params/a" not in answer.text
        assert client.get("/static/pages.css").status_code == 200
    with opened(here) as client:
        assert client.get("/").status_code == 404  # while a run lasts there are none


def test_registry_pages_tell_nothing_of_other_files(here: Any, visitor: httpx.Client) -> None:
    """Commands take the path of a file for an item; a page does not look at any."""
    product = here.product("params/a", "one")
    path = here.directory / "content"
    assert path.read_text() == "one"
    for item in (str(path), f"/{path}", "content", "../content", "rich:params/a@9.0.0", "a:b@c"):
        answer = visitor.get(f"/item/{item}")
        assert answer.status_code in (404, 422)
        assert product.sha1 not in answer.text
    assert visitor.get("/files/..%2f..%2fsecrets.json").status_code == 404
    assert visitor.get(f"/files/{'0' * 40}").status_code == 404


@pytest.mark.long
@pytest.mark.browser
def test_registry_pages_are_accessible(here: Any, browser: Browser) -> None:
    from tests.integration.test_pages_walks import check_accessible

    first, last = here.product("params/a", "one"), here.product("results/b", "two")
    here.describe(last)
    here.run([first], [last], "fit the model")
    with serving(LocalApi(here, here.user()), KEY) as address:
        context = browser.new_context(base_url=address.removesuffix("api/"), bypass_csp=True)  # for axe alone
        page = context.new_page()
        for place in (f"/?key={KEY}", "/?find=fit", "/item/rich:results/b@1.0.0", "/item/nothing"):
            page.goto(place)
            check_accessible(page)
        page.goto("/")
        page.get_by_role("link", name="1.0.0").first.click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the file").click()
        assert download.value.suggested_filename == "results-b-1.0.0.csv"
        context.close()
