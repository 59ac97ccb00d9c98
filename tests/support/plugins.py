"""Small plugins for tests."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SORT", "write_plugin"]

SORT = """
name = "sort-lines"
version = "1.0.0"
title = "Sort lines"
inputs.text = { content = ["text/plain"] }
outputs.sorted = { data = "lines", content = "text/plain" }
[parameters.order]
type = "choice"
choices = ["up", "down"]
default = "up"
[run]
command = ["sort", {when = "parameters.order = down", words = ["-r"]}, "{inputs.text}"]
stdout = "sorted"
"""
"""The table of a plugin that sorts lines."""


def write_plugin(folder: Path, table: str, **scripts: str) -> Path:
    """Write a plugin into a folder of plugins; a script is named without its suffix. Return the plugin's directory."""
    name = next(line for line in table.splitlines() if line.startswith("name")).split('"')[1]
    directory = folder / name
    directory.mkdir(parents=True)
    (directory / "plugin.toml").write_text(table)
    for script, text in scripts.items():
        (directory / f"{script}.py").write_text(text)
    return directory
