"""Tools that plugins run: whether they are installed, and in which version."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from multiblast.errors import MultiblastError, ProgramError
from multiblast.plugins.description import Tool
from multiblast.plugins.environments import Environment
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.sources import stamp
from multiblast.programs import Program, clean_command

_LIMIT_S = 20.0

_versions: dict[tuple[Tool, str], tuple[tuple[int, int, int], str]] = {}


class ToolError(MultiblastError):
    """The tool of a plugin is not installed, or not in a version that it works with.

    Attributes:
        tool: Its program.
        debian: The Debian package that has it; empty if none is known.
    """

    def __init__(self, tool: str, debian: str, reason: str) -> None:
        """Name the tool, say what is wrong and what to do."""
        self.tool, self.debian = tool, debian
        remedy = f"Type: apt-get install {debian}" if debian else "Install it, so that it is on the path"
        super().__init__(f"{tool} {reason}. {remedy}")


def tool_version(plugin: Plugin, environment: Environment | None = None) -> str:
    """Return the version of a plugin's tool; empty if it has none. It is asked once for each version of its file.

    Args:
        plugin: The plugin.
        environment: Where its programs are looked for first.

    Raises:
        ToolError: it is not installed, says no version, or one that the plugin does not work with.
    """
    tool = plugin.description.tool
    if tool is None:
        return ""
    path = os.environ.get("PATH", os.defpath)
    if environment is not None and environment.programs is not None:
        path = f"{environment.programs}{os.pathsep}{path}"
    program = shutil.which(tool.command[0], path=path)
    if program is None:
        raise ToolError(tool.command[0], tool.debian, "is not installed")
    now, known = stamp(Path(program)), _versions.get((tool, program))
    if known is None or known[0] != now:
        known = _versions[tool, program] = now, _ask(tool, program, path)
    _check(tool, known[1])
    return known[1]


def _ask(tool: Tool, program: str, path: str) -> str:
    with TemporaryDirectory(prefix="plugin-") as scratch:
        printed = Path(scratch) / "printed.txt"
        command = clean_command([program, *tool.command[1:]], {"PATH": path, "HOME": scratch}, Path(scratch))
        try:
            said = Program(command, stdout=printed, timeout_s=_LIMIT_S).run().stderr
        except ProgramError as error:  # some end so when asked for their version
            said = error.stderr
        text = f"{printed.read_text(encoding='utf-8', errors='replace')}\n{said}"
    found = re.search(tool.pattern, text, re.MULTILINE)
    if found is None or not found[1]:
        raise ToolError(tool.command[0], tool.debian, f"says no version, but {' '.join(text.split())[:200]!r}")
    return found[1]


def _check(tool: Tool, version: str) -> None:
    if not tool.requires:
        return
    numbers = re.match(r"[0-9]+(\.[0-9]+)*", version)
    try:
        read = Version(version)
    except InvalidVersion:
        read = Version(numbers[0]) if numbers else Version("0")  # such as 14-7e284
    if not SpecifierSet(tool.requires).contains(read, prereleases=True):
        raise ToolError(tool.command[0], tool.debian, f"{version} is installed, and {tool.requires} is needed")
