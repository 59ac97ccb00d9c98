"""Plugins for tests, written where they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiblast.plugins import Plugin, Source, SourceKind, read_script, read_table
from multiblast.plugins.rounds import GivenFile, RoundEnd, RoundRequest, run_round
from multiblast.plugins.table_files import TABLE_FILE

SOURCE = Source(SourceKind.FOLDER, "tests")
HEAD = """# /// script
# requires-python = ">=3.11"
# dependencies = []
# [tool.multiblast.plugin]
# name = "probe"
# version = "1.0"
# title = "Probe"
%s
# ///
import json, os, sys, time
from pathlib import Path
request = json.loads(Path("request.json").read_text())
def say(**event):
    with open(os.environ["MULTIBLAST_EVENTS"], "a") as file:
        print(json.dumps(event), file=file)
"""
TEXT = """
[tool.multiblast.plugin.outputs.text]
data = "note"
content = "text/plain"
"""


def script_plugin(directory: Path, body: str, table: str = TEXT, run: str = "") -> Plugin:
    """Write a plugin that is one script; ``run`` is what its table says under ``[run]``."""
    lines = table.strip() + (f"\n[tool.multiblast.plugin.run]\n{run}" if run else "")
    path = directory / "probe.py"
    path.write_text(HEAD % "\n".join(f"# {line}".rstrip() for line in lines.splitlines()) + body)
    return Plugin(read_script(path.read_text(), path.name), path, SOURCE)


def command_plugin(directory: Path, table: str) -> Plugin:
    """Write a plugin that is a table in a directory of its own."""
    place = directory / "plugin"
    place.mkdir()
    text = f'name = "probe"\nversion = "1.0"\ntitle = "Probe"\n{table}'
    (place / TABLE_FILE).write_text(text)
    return Plugin(read_table(text, TABLE_FILE), place, SOURCE)


def given(path: Path, text: str, data: str = "sequences/protein", content: str = "text/x-fasta") -> GivenFile:
    """Write an input."""
    path.write_text(text)
    return GivenFile(path, path.name, data, content)


def run(plugin: Plugin, directory: Path, sandbox: str = "auto", **settings: Any) -> RoundEnd:
    """Run one round; what is no field of a request is for `run_round`."""
    fields = {"number": 1, "inputs": {}, "parameters": {}, "threads": 1}
    fields |= {key: settings.pop(key) for key in list(settings) if key in RoundRequest.__slots__}
    return run_round(plugin, None, RoundRequest(**fields), directory / "work", sandbox=sandbox, **settings)
