"""Each snippet of the tutorial runs as it stands."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from multiblast.services import Services
from multiblast.settings import Policy
from tests.support.http_service import HereStarter, serving
from tests.support.places import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "tutorials" / "http.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(sh|python|r)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PROGRAMS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"], "r": ["Rscript", "-e"]}
WANTED = ["guestID", '"status":"complete"', "complete\n", " ", ">"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a query, where one snippet goes on where another ended."""
    directory = tmp_path_factory.mktemp("tutorial")
    (directory / "query.fasta").write_text((EXAMPLES / "protein_query.fasta").read_text())
    return directory


@pytest.fixture(scope="module")
def served(services_under: Callable[..., Services]) -> Iterator[tuple[str, str]]:
    services = services_under(Policy(trust_unnamed=False))
    token = services.accounts.tokens.make("ann", "tutorial")
    with serving(services, HereStarter(services)) as url:
        yield url, token


def need(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"{program} is needed to run this snippet")


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=[language for language, _ in SNIPPETS])
def test_http_tutorial_snippet_runs(served: tuple[str, str], place: Path, number: int) -> None:
    url, token = served
    language, text = SNIPPETS[number]
    *program, option = PROGRAMS[language]
    need("curl" if language == "sh" else program[0])
    done = subprocess.run(
        [*program, option, text.replace("http://127.0.0.1:4201", url)],
        cwd=place,
        env={**os.environ, "TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert WANTED[number] in done.stdout
    if "report.tsv" in text:
        assert (place / "report.tsv").read_text().count("\t") > 10


def test_http_documentation_alone_leads_to_a_report(served: tuple[str, str], place: Path) -> None:
    """What the page ``/api`` shows runs as it stands, for a guest."""
    need("curl")
    found = re.search(r"<pre>(.*?)</pre>", httpx.get(f"{served[0]}/api").text, re.DOTALL)
    assert found
    command = [*PROGRAMS["sh"], html.unescape(found[1])]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"complete"' in done.stdout
    assert done.stdout.count("\t") > 10
