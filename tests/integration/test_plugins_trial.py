"""An author tries a plugin out, with answers to what it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.errors import ConflictError
from multiblast.plugins.failure import PluginError
from multiblast.plugins.trial import try_plugin
from tests.support.plugins import write_script, write_table

ASKS = """import json, os
from pathlib import Path
answers = json.loads(Path("request.json").read_text())["answers"]
if "name" in answers:
    Path("outputs/text.txt").write_text(f"Hello {answers['name']['who']}")
else:
    ask = {"step": "name", "title": "Who?", "parameters": {"who": {"type": "text"}}}
    Path(os.environ["MULTIBLAST_EVENTS"]).write_text(json.dumps({"ask": ask}) + "\\n")
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path / "home"))


def test_plugin_that_asks_gets_the_answers(tmp_path: Path) -> None:
    script = write_script(tmp_path / "plugin" / "one.py", body=ASKS)
    outputs = try_plugin(script, tmp_path / "run", answers={"name": {"who": "you"}})
    assert outputs["text"][0].read_text() == "Hello you"
    with pytest.raises(ConflictError, match="'name'"):
        try_plugin(script, tmp_path / "other")


def test_command_gets_its_files(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("b\na\n")
    place = write_table(tmp_path / "plugin")
    outputs = try_plugin(place, tmp_path / "run", {"lines": tmp_path / "lines.txt"})
    assert outputs["sorted"][0].read_text() == "a\nb\n"
    with pytest.raises(PluginError):
        try_plugin(
            write_table(tmp_path / "bad", run='command = ["false"]'),
            tmp_path / "no",
            {"lines": [tmp_path / "lines.txt"]},
        )
