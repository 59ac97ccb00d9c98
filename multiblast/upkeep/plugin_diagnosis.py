"""How the plugins of an installation are, and what their environments, repositories and sandboxes are made by."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from multiblast.errors import InvalidInputError, MultiblastError, ProgramError
from multiblast.plugins.catalogue import Catalogue
from multiblast.plugins.environments import Environments, find_uv
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.sources import Sources
from multiblast.plugins.tools import tool_version
from multiblast.settings import PluginRules
from multiblast.upkeep.diagnosis import Finding, Verdict


def diagnose_plugins(rules: PluginRules) -> Iterator[Finding]:
    """Look at the plugins of this machine; nothing is installed, and what is broken is a finding, never raised."""
    plugins, broken, _ = Catalogue(rules).look()
    ready = sum(_is_ready(plugin) for plugin in plugins)
    detail = f"{len(plugins)} found, of which {ready} can run here"
    if broken:
        detail += f"; {len(broken)} broken, such as {broken[0].place}: {broken[0].reason}"
    verdict, remedy = (Verdict.WARN, "multiblast plugins list says what is wrong") if broken else (Verdict.OK, "")
    yield Finding("plugins", verdict, detail, remedy)
    yield _look_for_uv()
    yield _look_for_git(rules)


def _is_ready(plugin: Plugin) -> bool:
    try:
        environment = Environments().find(plugin)
        tool_version(plugin, environment)
    except MultiblastError:
        return False
    return environment is not None


def _look_for_uv() -> Finding:
    try:
        return Finding("uv", Verdict.OK, find_uv())
    except ProgramError:
        detail = "not installed: the environments of plugins cannot be made"
        return Finding("uv", Verdict.WARN, detail, "pip install uv")


def _look_for_git(rules: PluginRules) -> Finding:
    if found := shutil.which("git"):
        return Finding("git", Verdict.OK, found)
    try:
        lines = Sources(rules).git_lines()
    except InvalidInputError:  # which is among what is broken
        lines = []
    if not lines:
        return Finding("git", Verdict.OK, "not installed, and no plugins come from git repositories")
    detail = f"not installed: {len(lines)} repositories of plugins cannot be fetched"
    return Finding("git", Verdict.WARN, detail, "apt-get install git")
