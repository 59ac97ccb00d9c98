"""Search plugins, looked for only where a program is none of BLAST+: most processes need none, and start sooner."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from multiblast.options.providers import AddedProgram, add_programs
from multiblast.settings import PluginRules

if TYPE_CHECKING:
    from multiblast.plugins.search_programs import SearchPlugin

_new_rules: list[PluginRules] = []


def find_plugins_by(rules: PluginRules) -> None:
    """Have search plugins looked for by the rules of a policy, from the next look on."""
    _new_rules[:] = [rules]


def search_plugins() -> Mapping[str, SearchPlugin]:
    """Return the newest version of each search plugin that there is, by name."""
    from multiblast.plugins import search_programs

    with suppress(IndexError):
        search_programs.look_by(_new_rules.pop())
    return search_programs.search_plugins()


def search_plugin(program: str) -> SearchPlugin | None:
    """Return the plugin that a program is; None for one of BLAST+."""
    from multiblast.options import PROGRAMS

    return None if program in PROGRAMS else search_plugins().get(program)


def _programs() -> Mapping[str, AddedProgram]:
    from multiblast.plugins.search_programs import as_program

    return {name: as_program(plugin) for name, plugin in search_plugins().items()}


add_programs(_programs)
