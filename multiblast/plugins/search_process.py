"""How the programs of search plugins are started: they see as little of us as all plugins do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from multiblast.plugins.commands import PYTHONS
from multiblast.plugins.confinement import (
    Room,
    clean_environment,
    confines,
    default_python,
    place_of,
    prefixes_of,
    sandboxed,
)
from multiblast.plugins.search_programs import SearchPlugin, sandbox_choice
from multiblast.programs import clean_command

_SCRATCH = "tmp"


def confined(
    plugin: SearchPlugin, command: Sequence[str], directory: Path, reads: Iterable[Path], threads: int
) -> list[str]:
    """Return a command with a clean environment and, where that works, in a sandbox.

    Args:
        plugin: Whose command it is.
        command: Its words.
        directory: Where it works, and all that it can write to; a directory for temporary files is made in it.
        reads: What it may read besides, but for the system's and the plugin's own files.
        threads: How many it may use.

    Raises:
        PluginError: it must be in a sandbox, and there is none here.
    """
    (directory / _SCRATCH).mkdir(exist_ok=True)
    environment = clean_environment(directory, threads)
    python = default_python() if command[0] in PYTHONS else None
    words = [str(python), *command[1:]] if python else list(command)
    if confines(sandbox_choice(), plugin.identifier):
        needs = prefixes_of(python) if python else place_of(words[0], environment["PATH"])
        words = sandboxed(words, Room(directory, tuple(dict.fromkeys((*needs, plugin.path, *reads)))))
    return clean_command(words, environment, directory)
