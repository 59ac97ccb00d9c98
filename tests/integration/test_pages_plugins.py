"""People run plugins on the service's pages, in a real browser; one service for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy, QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from multiblast.targets.makeblastdb import build_database
from tests.support.page_walks import EXAMPLES, PROTEIN, NewContext, check_accessible, sign_in, submit
from tests.support.plugins import SORT, write_plugin

pytestmark = pytest.mark.browser

ALIGN = """
name = "align-all"
version = "1.0.0"
title = "Align subjects"
description = "Puts the subjects one below the other."
license = "MIT"
tags = ["alignment", "usual"]
inputs.hits = { data = "hits/*", content = ["text/tab-separated-values"] }
inputs.subjects = { data = "subjects/*", content = ["text/x-fasta"], label = "Sequences" }
outputs.alignment = { data = "pile/{subjects}", content = "text/x-fasta", label = "Alignment" }
run = { command = ["cat", "{inputs.subjects}"], stdout = "alignment" }
text.de = { title = "Treffer alignieren", labels = { subjects = "Sequenzen" } }
"""
DRAW = """
name = "draw-tree"
version = "1.0.0"
title = "Draw a tree"
inputs.alignment = { data = "pile/*", content = ["text/x-fasta"] }
outputs.tree = { data = "shrub", content = "text/x-newick" }
outputs.picture = { data = "picture", content = "image/svg+xml", label = "The tree" }
outputs.table = { data = "lengths", content = "text/tab-separated-values", label = "Lengths" }
outputs.page = { data = "page", content = "text/html", label = "As a page" }
run = { command = ["python3", "{plugin}/work.py"] }
[parameters.width]
type = "integer"
default = 300
least = 100
most = 900
label = "Width"
help = "Of the picture, in points."
"""
DRAWS = """
import json, os, pathlib, time
request = json.load(open("request.json"))
width = request["parameters"]["width"]
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
print(json.dumps({"progress": {"value": 0, "start": 0, "target": 3, "unit": "branches"}}), file=events, flush=True)
print(json.dumps({"log": "drawing <b>branches</b>"}), file=events, flush=True)
time.sleep(4 if width == 500 else 0.5)
out = pathlib.Path("outputs")
lines = "".join(f'<path d="M10 {y}H{width - 10}" stroke="teal" stroke-width="3"/>' for y in range(20, 120, 25))
svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="130">{lines}<script>top.hurt = 1</script></svg>'
(out / "picture.svg").write_text(svg)
(out / "tree.nwk").write_text("(a:1,b:2);")
(out / "table.tsv").write_text("name\\tlength\\n<script>window.hurt=1</script>\\t60\\n")
(out / "page.html").write_text(
    "<!doctype html><h1>A page</h1><script>try { opener.hurt = 1; document.title = document.cookie } catch {}</script>"
)
"""
ASK = """
name = "asking"
version = "1.0.0"
title = "Ask for a word"
outputs.words = { data = "lines", content = "text/plain" }
run = { command = ["python3", "{plugin}/work.py"] }
[parameters.token]
type = "text"
private = true
default = ""
label = "A token"
"""
ASKS = """
import json, os, pathlib
request = json.load(open("request.json"))
answers = request["answers"]
if "word" not in answers:
    form = {"word": {"type": "text", "label": "The word"}, "times": {"type": "integer", "default": 2, "least": 1}}
    events = open(os.environ["MULTIBLAST_EVENTS"], "a")
    print(json.dumps({"ask": {"step": "word", "title": "Which word?", "parameters": form}}), file=events)
    raise SystemExit
pathlib.Path("outputs/words.txt").write_text(answers["word"]["word"] * answers["word"]["times"])
"""
HOSTILE_TABLE = """
name = "hostile"
version = "1.0.0"
title = "<script>window.hurt=1</script>"
description = "\\"><img src=x onerror=window.hurt=1>"
inputs.text = { content = ["text/plain"], label = "<b>label</b>", help = "{{7*7}}" }
outputs.out = { data = "lines", content = "text/plain" }
run = { command = ["cat", "{inputs.text}"], stdout = "out" }
"""
MISSING = """
name = "not-here"
version = "1.0.0"
title = "Needs a tool"
tool = { command = ["no-such-tool", "--version"], pattern = "(.+)", debian = "no-such-package" }
run = { command = ["no-such-tool"] }
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services for guests and users, with a database and a folder of plugins."""
    base = tmp_path_factory.mktemp("pages")
    blast = base / "targets" / "demo" / "examples" / "blast"
    build_database(EXAMPLES / "proteins.fasta.gz", blast, "proteins", molecule="protein", title="Demo proteins")
    folder = base / "plugins"
    for table in (SORT, ALIGN, HOSTILE_TABLE, MISSING):
        write_plugin(folder, table)
    write_plugin(folder, DRAW, work=DRAWS)
    write_plugin(folder, ASK, work=ASKS)
    (folder / "broken").mkdir()
    (folder / "broken" / "plugin.toml").write_text('name = "broken"\nversion = "1"\n')
    rules = PluginRules(folders=(str(folder),))
    policy = Policy(trust_unnamed=False, administrators=frozenset({"root"}), plugins=rules)
    database, store = Database(f"sqlite:///{base / 'jobs.sqlite'}"), LocalStore(base / "store")
    yield Services(database, store, Installation(), Targets(base / "targets"), QueryLimits(), policy)
    database.close()


def test_biologist_goes_on_from_hits_to_a_tree(new_context: NewContext) -> None:
    """By one click, as a guest; each step is a job, and the picture is on the search's page in the end."""
    page = new_context(bypass_csp=True).new_page()
    job = submit(page, f">q\n{PROTEIN}\n")
    check_accessible(page)
    page.get_by_role("button", name="Draw a tree align-all → draw-tree").click()
    expect(page.get_by_role("heading", name="It goes on")).to_be_visible()
    expect(page.get_by_role("img", name="picture.svg, made by Draw a tree")).to_be_visible()
    expect(page.get_by_role("heading", name="What came of it")).to_be_visible()
    assert page.url.startswith(job)
    check_accessible(page)
    assert page.evaluate("document.querySelector('.picture img').naturalWidth") == 300
    page.get_by_role("link", name="Draw a tree").first.click()
    expect(page.get_by_role("navigation", name="Steps of the chain").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("img", name="The tree: picture.svg")).to_be_visible()
    expect(page.get_by_role("cell", name="<script>")).to_be_visible()
    check_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download tree.nwk").click()
    assert Path(download.value.path()).read_text() == "(a:1,b:2);"
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the page").click()
    expect(opened.value.get_by_role("heading", name="A page")).to_be_visible()
    assert opened.value.title() == ""  # in its sandbox it sees no cookie
    assert page.evaluate("window.hurt") is None
    page.get_by_role("link", name="Change and run again").click()
    expect(page.get_by_label("alignment", exact=False).first).to_have_value(re.compile("plugin:"))
    page.get_by_label("Width").fill("20")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("give a number from 100 up to 900")
    expect(page.get_by_label("Width")).to_have_attribute("aria-invalid", "true")
    check_accessible(page)
    page.get_by_label("Width").fill("500")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_label("0 of 3 branches")).to_have_js_property("value", 0)
    expect(page.get_by_label("Log")).to_contain_text("drawing <b>branches</b>")
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    page.get_by_role("link", name="My jobs").click()
    page.get_by_role("navigation", name="Kinds of jobs").get_by_role("link", name="Plugins").click()
    expect(page.get_by_role("table", name="Plugin jobs, newest first").get_by_role("row")).to_have_count(4)
    check_accessible(page)


def test_user_sends_a_file_names_pins_and_shares_the_job(new_context: NewContext, services: Services) -> None:
    page, guest = new_context(bypass_csp=True).new_page(), new_context().new_page()
    sign_in(page, services, "ann")
    page.get_by_role("link", name="Plugins", exact=True).click()
    check_accessible(page)
    page.get_by_label("Find by name").fill("sort")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Sort lines").click()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("this is needed")
    page.get_by_label("text", exact=False).first.fill(f"job:{'0' * 32}")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#error-inputs-text")).to_contain_text("no query job")
    page.get_by_label("text", exact=False).first.fill("")
    page.get_by_label("or a file for text").set_input_files(
        {"name": "fruit <b>.txt", "mimeType": "text/plain", "buffer": b"pear\napple\n"}
    )
    page.get_by_label("order").select_option("down")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_label("Beginning of sorted.txt")).to_have_text("pear\napple")
    page.get_by_label("Name", exact=True).fill("Fruit, sorted")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_role("heading", name="Fruit, sorted")).to_be_visible()
    page.get_by_role("button", name="Keep for good").click()
    expect(page.get_by_role("button", name="Let it expire again")).to_be_visible()
    guest.goto(page.url)
    expect(guest.get_by_role("heading", name="It did not work")).to_be_visible()
    page.get_by_role("button", name="Share by link").click()
    guest.goto(page.get_by_label("Link to share").input_value())
    expect(guest.get_by_label("Beginning of sorted.txt")).to_have_text("pear\napple")
    expect(guest.get_by_role("button", name="Keep for good")).to_have_count(0)
    page.get_by_role("button", name="Remove from my jobs").click()
    expect(page.get_by_text("Nothing yet")).to_be_visible()


def test_question_is_answered_on_the_page(new_context: NewContext) -> None:
    page = new_context(bypass_csp=True).new_page()
    page.goto("/plugins/asking")
    expect(page.get_by_label("A token")).to_have_attribute("type", "password")
    page.get_by_label("A token").fill("abracadabra")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Which word?")).to_be_visible()
    assert "abracadabra" not in page.content()
    check_accessible(page)
    page.get_by_label("times").fill("0")
    page.get_by_role("button", name="Answer").click()
    expect(page.locator("#error-answers-times")).to_contain_text("from 1")
    page.get_by_label("times").fill("3")
    page.get_by_label("The word").fill("ho")
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    expect(page.get_by_label("Beginning of words.txt")).to_have_text("hohoho")


def test_administrator_sees_what_is_broken_or_missing_and_what_to_type(
    new_context: NewContext, services: Services
) -> None:
    page, guest = new_context(bypass_csp=True).new_page(), new_context(locale="de-AT").new_page()
    sign_in(page, services, "root")
    page.goto("/plugins")
    expect(page.get_by_text("apt-get install no-such-package")).to_be_visible()
    expect(page.get_by_role("heading", name="Broken")).to_be_visible()
    expect(page.get_by_role("region", name="Broken")).to_contain_text("title")
    check_accessible(page)
    assert page.evaluate("window.hurt") is None
    page.goto("/plugins/hostile")
    expect(page.get_by_role("heading", level=1)).to_have_text("<script>window.hurt=1</script>")
    expect(page.get_by_text("{{7*7}}")).to_be_visible()
    assert page.evaluate("window.hurt") is None
    guest.goto("/plugins")
    expect(guest.get_by_role("heading", name="Broken")).to_have_count(0)
    expect(guest.get_by_text("Needs a tool")).to_have_count(0)
    guest.get_by_role("link", name="Treffer alignieren").click()
    expect(guest.get_by_label("Sequenzen", exact=False).first).to_be_visible()


def test_plugin_pages_fit_a_phone_and_need_no_script(new_context: NewContext) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    page = new_context(**phone, java_script_enabled=False).new_page()
    page.goto("/plugins/sort-lines?parameter.order=down&text=data:text/plain,pear%250Aapple")
    expect(page.get_by_label("order")).to_have_value("down")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    assert page.locator("main").bounding_box()["width"] <= 360
