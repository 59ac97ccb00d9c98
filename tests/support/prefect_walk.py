"""A person at Prefect's pages, who clicks: what the forms and the pages of runs say."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

__all__ = ["Person"]

_PATIENCE_MS = 120_000
_AT_ONCE_MS = 30_000


class Person:
    """Somebody who has opened the address that `make up` prints, and gives the password if the pages ask for one."""

    def __init__(self, page: Page, url: str, password: str = "") -> None:
        self.page, self.url = page, url
        self.hosts: set[str] = set()  # that the pages asked for something
        page.on("request", lambda request: self.hosts.update({urlsplit(request.url).netloc} - {""}))
        page.goto(f"{url}/v2/deployments")
        if password:
            page.get_by_placeholder("admin:pass").fill(password, timeout=_PATIENCE_MS)
            page.get_by_role("button", name="Login").click()

    def find(self, name: str) -> Locator:
        """Find a form in the list; return the link to it."""
        self.page.goto(f"{self.url}/v2/deployments")
        self.page.get_by_placeholder("Search deployments").fill(name, timeout=_PATIENCE_MS)
        link = self.page.get_by_role("link", name=name).first
        expect(link).to_be_visible(timeout=_PATIENCE_MS)
        return link

    def open_form(self, name: str, field: str = "query (Optional)") -> None:
        """Find a form in the list, and open it, until a field of it can be filled in."""
        page = self.page
        self.find(name).click()
        page.get_by_role("button", name="Run", exact=True).click(timeout=_PATIENCE_MS)
        page.get_by_text("Custom run").first.click()
        expect(self._box(field)).to_be_visible(timeout=_PATIENCE_MS)

    def fill(self, field: str, text: str) -> None:
        """Type into a field."""
        self._box(field).fill(text)

    def turn_on(self, name: str) -> None:
        """Press the switch below a parameter's name."""
        self.page.get_by_role("switch", name=re.compile(f"^{name}")).click()

    def type_query(self, query: str) -> None:
        """Paste sequences."""
        self.fill("query (Optional)", query)

    def choose(self, database: str) -> None:
        """Choose a database from the list, with the mouse."""
        self.page.get_by_role("button", name="Select targets").click()
        self.page.get_by_role("option", name=database).click()
        self.page.get_by_role("heading", name="Parameters").click()  # elsewhere, which closes the list

    def submit(self) -> None:
        """Press the form's button."""
        self.page.get_by_role("button", name="Submit", exact=True).click()

    def see(self, text: str | re.Pattern[str], *, patience_ms: int = _PATIENCE_MS) -> None:
        """Wait until something can be read on the page."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=patience_ms)

    def open_run(self) -> str:
        """Follow the link to the run that the form has just begun; return its id."""
        self.page.get_by_role("link", name="View run").click(timeout=_PATIENCE_MS)
        self.page.wait_for_url("**/runs/flow-run/**", timeout=_PATIENCE_MS)
        return urlsplit(self.page.url).path.rpartition("/")[2]

    def see_state(self, name: str) -> None:
        """Wait until the run's page shows a state."""
        expect(self.page.locator("main").get_by_text(name, exact=True).first).to_be_visible(timeout=_PATIENCE_MS)

    def see_details(self, text: str | re.Pattern[str]) -> None:
        """Look for something among the run's details, where the message of its state is."""
        self.page.get_by_role("tab", name="Details").click()
        self.see(text, patience_ms=_AT_ONCE_MS)

    def see_artifact(self, key: str) -> None:
        """Look for something that the run shows, by a key that begins so."""
        run = self.page.url
        for left in reversed(range(4)):  # the page loads no more of it once it knows that the run has ended
            self.page.get_by_role("tab", name="Artifacts").click()
            try:
                self.see(re.compile(f"^{key}"), patience_ms=_AT_ONCE_MS)
            except AssertionError:
                if not left:
                    raise
                self.page.goto(run)
            else:
                return

    def open_artifact(self, key: str) -> None:
        """Open the last of what the run shows by a key that begins so."""
        self.see_artifact(key)
        self.page.get_by_text(re.compile(f"^{key}")).first.click()

    def _box(self, field: str) -> Locator:
        return self.page.get_by_role("textbox", name=field, exact=True)
