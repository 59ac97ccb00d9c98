"""Small plugins for tests."""

from __future__ import annotations

from pathlib import Path

TABLE = """name = "{name}"
version = "{version}"
title = "A plugin of tests"
license = "MIT"
[inputs.lines]
data = "text"
content = ["text/plain"]
[outputs.sorted]
data = "text"
content = "text/plain"
[run]
{run}
"""

COMMAND = 'command = ["sort", "{inputs.lines}"]\nstdout = "sorted"'

SCRIPT = '''# /// script
# dependencies = [{dependencies}]
# [tool.multiblast.plugin]
# name = "{name}"
# version = "{version}"
# title = "A script of tests"
# [tool.multiblast.plugin.outputs.text]
# data = "text"
# content = "text/plain"
# ///
"""A script."""

{body}
'''


def write_table(directory: Path, name: str = "one", version: str = "1.0", run: str = COMMAND, more: str = "") -> Path:
    """Write a directory with a table, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    table = TABLE.replace("{name}", name).replace("{version}", version).replace("{run}", run)
    (directory / "plugin.toml").write_text(table + more)
    return directory


def write_script(
    path: Path, name: str = "one", version: str = "1.0", dependencies: tuple[str, ...] = (), body: str = "import json"
) -> Path:
    """Write a script with its table, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = ", ".join(f'"{line}"' for line in dependencies)
    path.write_text(SCRIPT.format(name=name, version=version, dependencies=needed, body=body))
    return path


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
