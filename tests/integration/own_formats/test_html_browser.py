"""The HTML report in a browser without network, as a person with a keyboard or a telephone finds it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.html_reports import write_html_of

pytestmark = pytest.mark.browser

_KINASE = "tr|G3TPC2|G3TPC2_LOXAF"

# The contrast of each text with what is behind it, by WCAG 2's formula; the least of the page, and where.
_LEAST_CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const channel = (value) => ((value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
  };
  let least = [Infinity, ""], texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest("script, noscript")) continue;
    texts += 1;
    const style = getComputedStyle(node);
    const [a, b] = [parse(node.closest("svg") ? style.fill : style.color), behind(node)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least[0]) least = [contrast, `${node.tagName}.${node.className} ${node.textContent.slice(0, 40)}`];
  }
  return { least: least[0], where: least[1], texts };
}"""


@pytest.fixture
def open_report(browser: Browser, merged: Callable[..., Path], tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """``open_report(program, titles=…, hash="", **context)``: the page, offline; it asks for nothing, fails nowhere."""
    complaints: list[str] = []
    requested: set[str] = set()

    def make(program: str, titles: list[bytes] | None = None, hash: str = "", **context: Any) -> Page:  # noqa: A002 - as in a URL
        path = tmp_path / f"{program}.html"
        write_html_of(merged(program, titles or []), path, title="Spring screen", Program=program)
        page = browser.new_context(offline=True, **({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
        url = path.as_uri()
        page.on("request", lambda request: requested.add(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.goto(url + hash)
        page.wait_for_selector(".map .hit" if hash else "#overview-table tbody tr")
        return page

    yield make
    for context in browser.contexts:
        context.close()
    assert complaints == []
    assert [url for url in requested if not url.startswith((tmp_path.as_uri(), "blob:", "data:"))] == []


def _column(page: Page, table: str, number: int) -> list[str]:
    return page.locator(f"{table} tr.row > :nth-child({number})").all_inner_texts()


def _press_until(page: Page, key: str, selector: str) -> None:
    """Move the focus by a key until it is on what fits the selector."""
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"{key} does not reach {selector}")


def test_html_overview_sorts_by_its_headers(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp")
    header = page.get_by_role("columnheader", name="Length")
    header.get_by_role("button").click()
    lengths = [int(text.replace(",", "")) for text in _column(page, "#overview", 3)]
    assert lengths == sorted(lengths, reverse=True)
    expect(header).to_have_attribute("aria-sort", "descending")
    header.get_by_role("button").click()
    assert [int(text.replace(",", "")) for text in _column(page, "#overview", 3)] == sorted(lengths)
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert page.locator("#overview [aria-sort]").count() == 1


def test_html_overview_puts_queries_without_hits_last_either_way(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp")
    for _ in range(2):
        page.get_by_role("columnheader", name="E-value").get_by_role("button").click()
        assert [text == "\N{EN DASH}" for text in _column(page, "#overview", 7)] == [False] * 11 + [True]


def test_html_overview_finds_and_says_how_many(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp")
    page.get_by_label("Find a query or best hit").fill("TRNA ligase shewanella")
    expect(page.get_by_role("status")).to_have_text("1 of 12 queries")
    assert page.locator("#overview tr.row").count() == 1
    page.get_by_label("Find a query or best hit").fill("")
    page.get_by_label("Show").select_option("none")
    expect(page.get_by_role("status")).to_have_text("1 of 12 queries")
    assert _column(page, "#overview", 5) == ["no hits"]


def test_html_is_used_by_keyboard_alone(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp")
    _press_until(page, "Tab", "#overview tbody a")
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="sp|Q9DC28|KC1D_MOUSE")
    expect(heading).to_be_focused()
    page.wait_for_selector(".map .hit")
    _press_until(page, "Tab", ".toggle")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    page.keyboard.press("Enter")
    expect(page.locator(".toggle").first).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".hsp pre").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".hsp")).to_have_count(0)
    _press_until(page, "Shift+Tab", "a[href='#overview']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Queries")).to_be_focused()


def test_html_skip_link_comes_first(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.locator("#query")).to_be_visible()


def _blocks(text: str) -> list[tuple[str, ...]]:
    """Return the pieces of alignments in a text: both rows with their coordinates, and what stands between."""
    row = r" +(\d*) +(\S+) +(\d*)"
    found = re.findall(rf"^Query{row}\n(.*)\nSbjct{row}$", text, re.MULTILINE)
    return [tuple(part.strip() for part in block) for block in found]


@pytest.mark.parametrize(
    ("program", "query"),
    [
        ("blastp", 1),
        ("blastx", 2),
        *(pytest.param(*case, marks=pytest.mark.long) for case in (("blastn", 11), ("tblastn", 2), ("tblastx", 2))),
    ],
)
def test_html_alignments_are_those_of_the_pairwise_report(
    program: str, query: int, open_report: Callable[..., Page], merged: Callable[..., Path]
) -> None:
    """Coordinates count residues by strand and frame, and filtered ones are in lower case."""
    command = ["blast_formatter", "-archive", str(merged(program)), "-max_target_seqs", "500"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    expected = _blocks(text.split("Query= ")[query])
    page = open_report(program, hash=f"#query-{query}")
    page.get_by_role("button", name="Open all alignments shown").click()
    shown = _blocks("\n".join(page.locator(".hsp pre").all_inner_texts()))
    assert len(shown) > 1
    assert shown == expected[: len(shown)]


def test_html_prints_scores_as_tables_do(
    open_report: Callable[..., Page], merged: Callable[..., Path], tabular: Callable[..., list[dict[str, str]]]
) -> None:
    rows = tabular(merged("blastp"), "qseqid sseqid evalue bitscore")
    wanted = {row["sseqid"]: row for row in reversed(rows) if row["qseqid"] == "sp|Q9DC28|KC1D_MOUSE"}
    page = open_report("blastp", hash="#query-1")
    page.get_by_role("button", name=re.compile("^Show .* more of")).last.click()
    names = [text.splitlines()[0].strip() for text in _column(page, "#query", 2)]
    assert names == list(reversed(wanted))
    assert _column(page, "#query", 3) == [wanted[name]["bitscore"] for name in names]
    assert _column(page, "#query", 4) == [wanted[name]["evalue"] for name in names]


def test_html_filters_hits_and_downloads_what_is_left(
    open_report: Callable[..., Page], merged: Callable[..., Path], tabular: Callable[..., list[dict[str, str]]]
) -> None:
    rows = tabular(merged("blastp"), "qseqid sseqid sstart send pident evalue sseq stitle")
    wanted = [row for row in rows if row["qseqid"] == "sp|Q9DC28|KC1D_MOUSE" and float(row["pident"]) >= 80]
    page = open_report("blastp", hash="#query-1")
    page.get_by_label("Identity at least").fill("80")
    expect(page.locator("#query .status")).to_have_text(f"{len(wanted)} of 128 hits")
    assert page.locator(".map .hit").count() == min(len(wanted), 50)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download aligned sequences").click()
    assert started.value.suggested_filename == "sp_Q9DC28_KC1D_MOUSE.hits.fasta"
    records = started.value.path().read_text().split(">")[1:]
    got = [(record.partition("\n")[0], record.partition("\n")[2].replace("\n", "")) for record in records]
    assert got == [
        ("{sseqid}:{sstart}-{send} ".format(**row) + row["stitle"].partition(" ")[2], row["sseq"].replace("-", ""))
        for row in wanted
    ]
    with page.expect_download() as started:
        page.get_by_role("button", name="Download table").click()
    lines = started.value.path().read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["subject", *(row["sseqid"] for row in wanted)]


def test_html_says_when_a_limit_is_not_a_number(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1")
    limit = page.get_by_label("E-value at most")
    limit.fill("1e-")
    expect(limit).to_have_attribute("aria-invalid", "true")
    limit.fill("1e-100")
    expect(limit).to_have_attribute("aria-invalid", "false")


def test_html_map_leads_to_the_alignment(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1")
    page.locator(".map .hit").nth(4).click()
    opened = page.locator(".toggle[aria-expanded=true]")
    expect(opened).to_be_focused()
    assert opened.inner_text() == _column(page, "#query", 2)[4].splitlines()[0]


def test_html_map_and_table_have_one_order(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-4")
    page.get_by_role("columnheader", name="Length").get_by_role("button").click()
    lengths = [int(text.replace(",", "")) for text in _column(page, "#query", 8)]
    assert lengths == sorted(lengths, reverse=True)
    titles = page.locator(".map .hit title").all_text_contents()
    names = [text.splitlines()[0] for text in _column(page, "#query", 2)]
    assert [title.partition(":")[0] for title in titles] == names


def test_html_tells_scores_not_by_colour_alone(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-4")
    shown = page.locator(".map .hit").evaluate_all(
        """hits => hits.map((hit) => {
          const bars = [...hit.querySelectorAll("rect:not(.area)")];
          const marks = bars.map((bar) => bar.getAttribute("class") ?? bar.getAttribute("fill"));
          return [marks.slice(-2).join(" "), hit.querySelector("text:last-child").textContent];
        })"""
    )
    textures = ["bar-0 url(#texture-0)", "bar-1 url(#texture-1)", "bar-2 url(#texture-2)", "bar-3 url(#texture-3)"]
    for texture, bits in shown:
        assert texture == textures[sum(float(bits) >= limit for limit in (40, 50, 80))]
    assert len({texture for texture, _ in shown}) > 1
    assert page.locator(".legend").inner_text().split("\n") == [
        "under 40", "40 \N{EN DASH} 50", "50 \N{EN DASH} 80", "80 \N{EN DASH} 200", "200 and more bits",
    ]  # fmt: skip


def test_html_shows_titles_as_text(open_report: Callable[..., Page], hard_titles: list[bytes]) -> None:
    page = open_report("blastp", hard_titles)
    titles = [text.strip().replace("\n", " ") for text in _column(page, "#overview", 2)]
    assert titles[0] == hard_titles[0].decode()
    assert titles[3] == "é naïve 中文 <b>bold</b>"
    page.get_by_role("link", name="twin").first.click()
    expect(page.locator("#query .card > .soft")).to_contain_text('</script><script>alert("no")</script>')
    assert page.locator("b, #query script").count() == 0


def test_html_goes_back_and_forth(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1")
    assert page.title() == "sp|Q9DC28|KC1D_MOUSE \N{EN DASH} Spring screen"
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("sp|Q0HXU4|SYL_SHESR")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("sp|Q9DC28|KC1D_MOUSE")
    page.get_by_role("link", name="All queries").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("Queries")
    assert page.title() == "Spring screen"


def test_html_says_when_there_are_no_hits(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp")
    page.get_by_label("Show").select_option("none")
    page.locator("#overview tbody a").click()
    expect(page.locator("#query .notice")).to_have_text("No hits found")


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hash", ["", "#query-4"])
def test_html_text_has_contrast(scheme: Any, hash: str, open_report: Callable[..., Page]) -> None:  # noqa: A002 - as in a URL
    page = open_report("blastp", hash=hash, color_scheme=scheme)
    if hash:
        page.locator(".toggle").first.click()
        page.mouse.move(0, 0)
    found = page.evaluate(_LEAST_CONTRAST)
    assert found["texts"] > 100
    assert found["least"] >= 4.5, found


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_html_bars_have_contrast(scheme: Any, open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-4", color_scheme=scheme)
    contrasts = page.evaluate(
        """() => {
          const channel = (value) => ((value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
          const luminance = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map((v) => channel(Number(v)));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const card = luminance(getComputedStyle(document.querySelector(".card")).backgroundColor);
          return [...document.querySelectorAll(".legend rect[class]")].map((bar) => {
            const style = getComputedStyle(bar);
            const other = luminance(style.stroke === "none" ? style.fill : style.stroke);
            return (Math.max(card, other) + 0.05) / (Math.min(card, other) + 0.05);
          });
        }"""
    )
    assert len(contrasts) == 5
    assert min(contrasts) >= 3


def test_html_has_landmarks_and_labels(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1")
    for role in ("banner", "main", "contentinfo", "navigation", "search"):
        assert page.get_by_role(role).count() >= 1, role
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("table:not(:has(caption)), thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    named = "input, select, button, a, [role=img], section:not(.hsp)"
    unnamed = page.locator(named).evaluate_all(
        """nodes => nodes.filter((node) => !(node.labels?.length || node.textContent.trim()
            || node.getAttribute("aria-label"))).map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    levels = page.locator("h1, h2, h3, h4").evaluate_all(
        "nodes => nodes.filter((node) => node.checkVisibility()).map((node) => Number(node.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.long
@pytest.mark.parametrize("hash", ["", "#query-1"])
def test_html_fits_a_telephone(hash: str, open_report: Callable[..., Page]) -> None:  # noqa: A002 - as in a URL
    page = open_report("blastp", hash=hash, viewport={"width": 320, "height": 640})
    if hash:
        page.locator(".toggle").first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_role("row").count() > 1
    assert page.get_by_role("columnheader").count() >= 7


@pytest.mark.long
def test_html_prints_without_its_controls(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1", color_scheme="dark")
    page.locator(".toggle").first.click()
    page.emulate_media(media="print")
    for control in (".tools", ".buttons", ".way"):
        assert not page.locator(f"#query {control}").first.is_visible(), control
    assert page.locator(".facts").is_visible()
    assert page.locator(".hsp pre").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


@pytest.mark.long
def test_html_moves_nothing_for_who_wants_no_motion(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-1", reduced_motion="reduce")
    moving = page.locator("*").evaluate_all(
        "nodes => nodes.filter((node) => getComputedStyle(node).transitionDuration !== '0s').length"
    )
    assert moving == 0


@pytest.mark.long
def test_html_map_stays_legible_in_forced_colours(open_report: Callable[..., Page]) -> None:
    page = open_report("blastp", hash="#query-4", forced_colors="active", color_scheme="dark")
    colour = "node => getComputedStyle(node).fill"
    assert page.locator(".map .area").first.evaluate(colour) == "rgba(0, 0, 0, 0)"
    assert page.locator(".map .hit [class^=bar]").first.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.locator(".definitions circle").evaluate(colour) == "rgb(0, 0, 0)"
