"""Search plugins, looked for only where a program is none of BLAST+: most processes need none, and start sooner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from multiblast.options import PROGRAMS, AddedProgram, add_programs

if TYPE_CHECKING:
    from multiblast.plugins.search_programs import SearchPlugin


def search_plugin(program: str) -> SearchPlugin | None:
    """Return the plugin that a program is; None for one of BLAST+."""
    if program in PROGRAMS:
        return None
    from multiblast.plugins.search_programs import search_plugins

    return search_plugins().get(program)


def _programs() -> Mapping[str, AddedProgram]:
    from multiblast.plugins.search_programs import programs

    return programs()


add_programs(_programs)
