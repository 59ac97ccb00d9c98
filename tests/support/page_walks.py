"""What walks through the service's pages in a real browser have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from multiblast.services import Services
from tests.support.places import EXAMPLES

__all__ = ["EXAMPLES", "HOSTILE", "PROTEIN", "NewContext", "browsing", "check_accessible", "sign_in", "submit"]

PROTEIN = "IYSLVCWPLDDPFSRPDMLSLSERMLDVWRGKQVAEDLSPLINQLSLADMIRSCERNETL"
HOSTILE = "\"><img src=x onerror=window.hurt=1><script>window.hurt=1</script>' {{7*7}} </textarea>"
_PATIENCE_MS = 20_000

expect.set_options(timeout=_PATIENCE_MS)

NewContext = Callable[..., BrowserContext]


@contextmanager
def browsing(browser: Browser, url: str) -> Iterator[NewContext]:
    """Give what makes somebody's browser, in which everything that goes wrong fails the test in the end."""
    made: list[BrowserContext] = []
    wrong: list[str] = []

    def make(**more: object) -> BrowserContext:
        context = browser.new_context(base_url=url, **more)  # type: ignore[arg-type]  # what the test wants
        context.set_default_timeout(_PATIENCE_MS)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on(
            "console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None
        )
        context.on("request", lambda sent: None if sent.url.startswith((url, "data:")) else wrong.append(sent.url))
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    assert wrong == []


def submit(page: Page, query: str, database: str = "Demo proteins", summary: str = "") -> str:
    """Search as a person does; return the address of the job once it is done."""
    page.goto("/")
    page.get_by_label("Paste FASTA").fill(query)
    page.get_by_role("checkbox", name=database).check()
    if summary:
        page.get_by_label("A name for it").fill(summary)
    page.get_by_role("button", name="BLAST", exact=True).click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    return page.url


def sign_in(page: Page, services: Services, user: str) -> None:
    """Sign in with a new token."""
    name = f"token {len(services.accounts.tokens.list(user))}"
    page.goto("/sign-in")
    page.get_by_label("Your token").fill(services.accounts.tokens.make(user, name))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("banner")).to_contain_text(user)


def check_accessible(page: Page) -> None:
    """Make sure that axe finds nothing wrong with a page, light and dark, and that it fits when enlarged twice."""
    size = page.viewport_size
    assert size
    page.set_viewport_size({name: length // 2 for name, length in size.items()})  # type: ignore[arg-type]  # both there
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), page.url
    page.set_viewport_size(size)
    for scheme in ("light", "dark"):
        # Without motion: while colours change, contrasts are others.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of its literals
        result = Axe().run(page)
        assert result.violations_count == 0, f"{page.url}, {scheme}: {result.generate_report()}"
