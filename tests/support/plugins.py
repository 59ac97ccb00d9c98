"""Small plugins that tests write."""

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
