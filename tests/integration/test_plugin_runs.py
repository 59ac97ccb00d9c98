"""``multiblast plugins run``, ``path``, ``chain``, ``answer``, and the commands on plugin jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from deployments.command_line import main, session
from multiblast.database import JobStatus, PluginJob
from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.plugins import SORT, write_plugin

Run = Callable[..., tuple[int, str, str]]

COUNT = """
name = "count-lines"
version = "1.0.0"
title = "Count lines"
inputs.lines = { data = "lines", content = ["text/plain"] }
outputs.count = { data = "count", content = "text/plain" }
run = { command = ["wc", "-l", "{inputs.lines}"], stdout = "count" }
"""
GUESS = """
name = "guess"
version = "1.0.0"
title = "Guess"
inputs.count = { data = "count", content = ["text/plain"] }
outputs.guess = { data = "guess", content = "text/plain" }
tool = { command = ["no-such-tool"], pattern = "(.+)" }
run = { command = ["no-such-tool"] }
"""
ASK = """
name = "asking"
version = "1.0.0"
title = "Ask for a word"
parameters.seed = { type = "integer", default = 1 }
outputs.words = { data = "lines", content = "text/plain" }
run = { command = ["python3", "{plugin}/work.py"] }
"""
ASKS = """
import json, os, pathlib
answers = json.load(open("request.json"))["answers"]
events = open(os.environ["MULTIBLAST_EVENTS"], "a")
print(json.dumps({"progress": {"value": 0, "target": 2, "unit": "words"}}), file=events)
print(json.dumps({"log": "thinking of a word"}), file=events)
if "word" not in answers:
    form = {"word": {"type": "text", "label": "The word"}, "times": {"type": "integer", "default": 2, "least": 1}}
    print(json.dumps({"ask": {"step": "word", "title": "Which word?", "parameters": form}}), file=events)
    raise SystemExit
pathlib.Path("outputs/words.txt").write_text(answers["word"]["word"] * answers["word"]["times"])
"""


@pytest.fixture(autouse=True)
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    """What commands work with: a home of their own, a folder of plugins, no built-in ones, and no server."""
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("multiblast.plugins.sources.BUILT_IN", tmp_path / "builtin")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    for table in (SORT, COUNT, GUESS):
        write_plugin(tmp_path / "plugins", table)
    write_plugin(tmp_path / "plugins", ASK, work=ASKS)
    found = Services.embedded()
    found.policy = Policy(plugins=PluginRules(folders=(str(tmp_path / "plugins"),)))
    monkeypatch.setattr("deployments.command_line.plugin_runs.local_services", lambda: found)
    monkeypatch.setattr("deployments.command_line.actions.local_services", lambda: found)
    monkeypatch.setattr("deployments.command_line.jobs.local_services", lambda: found)
    monkeypatch.setattr(session, "running_server", lambda: "")
    (tmp_path / "lines.txt").write_text("pear\napple\n")
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """``run("plugins", "list")``: exit code, standard output, standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["multiblast", *words])
        code = main()
        return code, *capsys.readouterr()

    return command


def test_plugin_is_run_and_what_it_made_is_written_listed_and_read(run: Run, tmp_path: Path) -> None:
    code, out, err = run("plugins", "run", "sort-lines", "lines.txt", "--set", "order=down", "--out", "made")
    assert code == 0, err
    assert "wrote made/sorted.txt" in out
    assert (tmp_path / "made" / "sorted.txt").read_text() == "pear\napple\n"
    _, out, _ = run("plugins", "run", "sort-lines", "--input", "text=lines.txt", "--json")
    facts = json.loads(out)
    job = facts["pluginJobID"]
    assert (facts["status"], facts["plugin"], facts["written"]) == ("complete", "sort-lines@1.0.0", [])
    listed = json.loads(run("plugins", "jobs", "--json")[1])
    assert len(listed) == 2
    assert listed[0]["pluginJobID"] == job
    assert [row["name"] for row in json.loads(run("plugins", "files", job, "--json")[1])] == ["sorted.txt"]
    assert run("plugins", "get", job[:8], "sorted.txt")[1] == "apple\npear\n"
    assert json.loads(run("show", job)[1])["inputs"] == {"text": ["lines.txt"]}
    assert json.loads(run("status", job)[1]) == {job: "complete"}
    assert json.loads(run("plugins", "history", job, "--json")[1])[-1]["toStatus"] == "complete"
    assert run("cancel", job)[0] == 2


def test_other_files_are_overwritten_only_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "made" / "sorted.txt"
    down = ("plugins", "run", "sort-lines", "lines.txt", "--set", "order=down", "--out", "made")
    assert run("plugins", "run", "sort-lines", "lines.txt", "--out", "made")[0] == 0
    assert run("plugins", "run", "sort-lines", "lines.txt", "--out", "made")[0] == 0
    code, _, err = run(*down)
    assert (code, "'made/sorted.txt' is there already, and differs" in err) == (2, True)
    assert made.read_text() == "apple\npear\n"
    assert run(*down, "--overwrite")[0] == 0
    assert made.read_text() == "pear\napple\n"
    made.unlink()
    made.mkdir()
    code, _, err = run(*down)
    assert (code, "'made/sorted.txt' is a directory: name another place" in err) == (2, True)


def test_all_that_is_wrong_is_said(run: Run) -> None:
    code, _, err = run("plugins", "run", "sort-lines", "--set", "order=sideways", "--set", "colour=red")
    assert code == 2
    assert "parameters.order: 'sideways' is not one of up, down" in err
    assert "parameters.colour: there is no such parameter" in err
    assert "inputs.text: this is needed" in err
    code, _, err = run("plugins", "run", "sort-lines", "lines.txt", "--input", "text=lines.txt")
    assert code == 2
    assert "'order' is not NAME=VALUE" in run("plugins", "run", "sort-lines", "lines.txt", "--set", "order")[2]


def test_chain_is_printed_one_per_line_and_run(run: Run, tmp_path: Path) -> None:
    job = json.loads(run("plugins", "run", "asking", "--json")[1] or "{}").get("pluginJobID")
    assert job is None  # it asks, and nobody is at a terminal
    (item,) = json.loads(run("plugins", "jobs", "--json")[1])
    source = f"plugin:{item['pluginJobID']}"
    assert run("plugins", "path", source, "count")[0] == 2  # it is not complete
    run("plugins", "answer", item["pluginJobID"], "word=ho")
    assert run("plugins", "path", source, "count")[1].split("\n")[0] == "count-lines"
    (line, *_) = run("plugins", "path", source, "guess")[1].splitlines()
    assert line == "count-lines → guess   after: multiblast plugins install guess"
    code, out, err = run("plugins", "chain", source, "count", "--out", "made")
    assert code == 0, err
    assert "count-lines: complete" in err
    assert "wrote made/count.txt" in out
    assert (tmp_path / "made" / "count.txt").exists()
    assert "multiblast plugins install guess" in run("plugins", "chain", source, "guess")[2]


def test_restart_does_a_plugin_again_without_a_server(
    run: Run, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_services", lambda *_, **__: services)
    job = json.loads(run("plugins", "run", "sort-lines", "lines.txt", "--json")[1])["pluginJobID"]
    with services.database.write() as opened:
        opened.exec(update(PluginJob).values(status=JobStatus.CANCELLED))
    code, out, err = run("jobs", "restart", job[:8])
    assert (code, out) == (0, f"plugin job {job} is complete\n"), err
    assert json.loads(run("status", job)[1]) == {job: "complete"}


def test_question_is_answered_by_command_or_at_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("plugins", "run", "asking")
    assert code == 2
    assert "Which word?" in err
    assert "thinking of a word" in err
    (item,) = json.loads(run("plugins", "jobs", "--json")[1])
    job = item["pluginJobID"]
    assert f"multiblast plugins answer {job[:8]} word=… times=…" in " ".join(err.split())
    code, _, err = run("plugins", "answer", job[:8], "word=ho", "times=0")
    assert code == 2
    assert "answers.times: 0 is not allowed" in err
    code, _, err = run("plugins", "answer", job[:8], "word=ho")
    assert code == 0, err
    assert run("plugins", "get", job, "words.txt")[1] == "hoho"
    assert "it asks nothing now" in run("plugins", "answer", job, "word=ho")[2]
    typed = iter(["hi", "much", "3"])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(typed))
    code, out, err = run("plugins", "run", "asking", "--set", "seed=2", "--out", "made")
    assert code == 0, err
    assert "Which word?" in out
    assert "'much' is not a whole number" in err
    assert Path("made/words.txt").read_text() == "hihihi"
