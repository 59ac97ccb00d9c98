"""The tutorial that writes a plugin, and the way from a search to a tree: followed as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multiblast.search import SearchedJob
from multiblast.services import Services
from tests.support.processes import unset_environment

pytestmark = pytest.mark.long

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = (DOCS / "tutorials" / "write-a-plugin.md").read_text(encoding="utf-8")
TREE = (DOCS / "how-to" / "grow-a-tree-from-a-job.md").read_text(encoding="utf-8")
QUERY = (DOCS.parent / "examples" / "data" / "protein_query.fasta").read_text(encoding="utf-8")
BLOCKS = re.compile(r"(?ms)^```(console|toml|python)\n(.*?)^```")
FILE = re.compile(r"`(my-plugins/[\w/.]+)`[^`]*\Z")
CALL = re.compile(r"(?ms)^    outputs = try_plugin\(.*?\)$")


def written(page: str) -> Iterator[tuple[str, str]]:
    """Yield what a reader does, in order: the path of a file with its text, or "" with a command."""
    for block in BLOCKS.finditer(page):
        language, text = block[1], block[2]
        if language == "console":
            yield from (("", line.removeprefix("$ ")) for line in text.splitlines() if line.startswith("$ "))
        elif text.startswith("    "):
            yield "change", text.rstrip("\n")
        elif found := FILE.search(page[: block.start()].rstrip().rstrip(":")):
            yield found[1], text


@pytest.fixture
def place(tmp_path: Path, targets_root: Path) -> Path:
    """A directory of a reader, who has searched there."""
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "targets").symlink_to(targets_root)
    (place / ".bin").mkdir()
    (place / ".bin" / "multiblast").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m multiblast "$@"\n')
    (place / ".bin" / "multiblast").chmod(0o755)
    return place


def typed(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    kept = unset_environment()
    names = {f"GIT_{role}_{what}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{place / '.bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    variables = {**kept, **names, "PATH": path, "MULTIBLAST_HOME": str(place.parent / "home"), "COLUMNS": "200"}
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(
        shell, cwd=place, env=variables, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def job_in(said: str) -> str:
    """Return the id of the plugin job that a command has printed last."""
    return re.findall(r"\bjob ([0-9a-f]{20,})\b", said)[-1]


def test_tutorial_writes_a_plugin_that_does_what_it_says(
    place: Path, services: Services, submit: Callable[..., SearchedJob]
) -> None:
    job = submit(QUERY).job_id
    jobs: list[str] = []
    for file, text in written(TUTORIAL):
        if file == "change":
            test = place / "my-plugins" / "identities" / "test_identities.py"
            changed, count = CALL.subn(lambda _, text=text: text, test.read_text())
            assert count == 1
            test.write_text(changed)
        elif file:
            (place / file).write_text(text)
        elif not text.startswith("multiblast search"):
            command = text.replace("PLUGINJOB", jobs[-1] if jobs else "").replace("JOB", job)
            done = typed(place, command)
            said = done.stdout + done.stderr
            asks = command.startswith("multiblast plugins run") and " asks: " in said
            assert asks or done.returncode == 0, f"{command}\n{said}"
            if command.startswith("multiblast plugins run"):
                jobs.append(job_in(said))
    first, again, finer, asking = jobs
    assert first == again
    assert len({first, finer, asking}) == 3
    assert services.plugin_jobs.jobs.history(first)[-1].to_status == "complete"
    assert (place / "results" / "identities.tsv").read_text().startswith("percent\talignments\n")
    assert (place / "finer" / "identities.tsv").read_text() != (place / "results" / "identities.tsv").read_text()


def test_tree_is_grown_from_a_search(place: Path, submit: Callable[..., SearchedJob]) -> None:
    """Needs the network, or uv's cache."""
    for program in ("mafft", "fasttree"):
        if not shutil.which(program):
            pytest.skip(f"{program} is needed to grow a tree")
    ids = {"JOB": submit(QUERY).job_id}
    for _, text in written(TREE):
        command = text
        for word, job in ids.items():
            command = re.sub(rf"\b{word}\b", job, command)
        done = typed(place, command)
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{said}"
        made = {"run hit-sequences": "SEQUENCES", "run mafft": "ALIGNMENT", "run fasttree": "TREE"}
        ids |= {word: job_in(said) for start, word in made.items() if start in command}
        if "path" in command:
            assert "hit-sequences → mafft → fasttree" in said
    assert (place / "tree" / "tree.nwk").read_text().startswith("(")
    for directory in ("tree", "alignment"):
        assert {"page.html", "picture.svg"} <= {path.name for path in (place / directory).iterdir()}
