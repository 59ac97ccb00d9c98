"""A plugin tried out by its author: run once as it would be in a job, without installing or recording anything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from multiblast.errors import ConflictError
from multiblast.plugins.catalogue import described
from multiblast.plugins.environments import Environments
from multiblast.plugins.kinds import content_of
from multiblast.plugins.plugin import Source, SourceKind
from multiblast.plugins.rounds import GivenFile, RoundRequest, run_round
from multiblast.plugins.sources import Candidate


def try_plugin(
    path: Path,
    directory: Path,
    inputs: Mapping[str, Path | Sequence[Path]] | None = None,
    parameters: Mapping[str, str | bool | int | float] | None = None,
    answers: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, list[Path]]:
    """Run a plugin and return what it made, by port.

    Args:
        path: Its directory, or its script.
        directory: Where it runs, and leaves its outputs; it must not be there.
        inputs: Files by port, one or several.
        parameters: Values that differ from the defaults.
        answers: What to answer when it asks, by step.

    Raises:
        InvalidInputError: its table is no good, or the inputs do not fit it.
        PreparationError: its environment cannot be made.
        PluginError: it failed, or made something else than its table says.
        ConflictError: it asks something that is not answered, or calls another plugin.
    """
    plugin = described(Candidate(path.absolute(), Source(SourceKind.FOLDER, str(path))))
    python = Environments().prepare(plugin).python
    kinds = {port: one.data.removesuffix("/*") for port, one in plugin.description.inputs.items()}
    given = {
        port: tuple(
            GivenFile(file, file.name, kinds.get(port, "*"), content_of(file.name))
            for file in ([files] if isinstance(files, Path) else files)
        )
        for port, files in (inputs or {}).items()
    }
    known, state, threads = dict(answers or {}), None, len(os.sched_getaffinity(0))
    answered: dict[str, Mapping[str, object]] = {}
    for number in range(1, len(known) + 2):
        place = directory / f"round{number}"
        end = run_round(
            plugin, python, RoundRequest(number, given, parameters or {}, threads, answered, state=state), place
        )
        if end.call is None and end.ask is None:
            break
        if end.ask is None or end.ask.step not in known:
            wanted = f"asks at the step {end.ask.step!r}: give it an answer" if end.ask else "calls another plugin"
            raise ConflictError(f"{plugin.identifier} {wanted}")
        answered[end.ask.step], state = known[end.ask.step], place / "state"
    made: dict[str, list[Path]] = {}
    for output in end.outputs:
        made.setdefault(output.port, []).append(output.path)
    return made
