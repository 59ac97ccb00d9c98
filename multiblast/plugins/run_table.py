"""The table ``[run]`` of a plugin: its command or script, and how much it may take."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from multiblast.plugins.parameters import TableModel

PLACEHOLDER = re.compile(r"\{([a-z]+)(?:\.([A-Za-z0-9_]+))?\}")
"""What stands in a word of a command for something else, such as ``{inputs.sequences}`` or ``{threads}``."""

PLAIN_WORDS = frozenset({"threads", "work", "plugin"})
"""What stands for something else by itself, in the words of every command."""

_CONDITION = re.compile(r"(inputs|parameters)\.([A-Za-z0-9_]+)(?:\s*=\s*(.+))?")


class Conditional(TableModel):
    """Words of a command that are left out where a condition does not hold.

    Attributes:
        when: ``parameters.NAME``, which holds for what is neither empty nor false, ``parameters.NAME = VALUE``, or
            ``inputs.NAME``, which holds for what is given.
        words: What stands in the command where it holds.
    """

    when: str
    words: tuple[str, ...]

    @property
    def condition(self) -> tuple[str, str, str | None]:
        """What is looked at, ``inputs`` or ``parameters``, its name, and the value that it must have, if any."""
        found = _CONDITION.fullmatch(self.when.strip())
        if found is None:
            raise ValueError(
                f"{self.when!r} is no condition: write parameters.NAME, parameters.NAME = VALUE or inputs.NAME"
            )
        return found[1], found[2], found[3]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.condition
        return self


class Run(TableModel):
    """How a plugin is run: a command, or a Python script in an environment of its own.

    Attributes:
        command: Its words; ``{inputs.NAME}``, ``{outputs.NAME}``, ``{parameters.NAME}``, ``{threads}``, ``{work}`` (the
            directory that it may write to) and ``{plugin}`` (that of its own files) stand for what they say. A word
            that is just one placeholder of several files becomes several words. ``python3`` as its first word is the
            Python of the plugin's environment. There is no shell.
        script: Instead: a Python script beside the table, run by the environment's Python.
        stdout: The output to which what it prints goes.
        timeout_s: How many seconds it may take.
        memory_gb: How much memory all its processes may have together.
        output_gb: How much it may write.
        processes: How many processes it may have at a time.
        threads: How many threads it is given at most; 0 is as many as the worker gives.
        network: Whether it may use the network.
        cache: Whether equal inputs give equal outputs, so that it is never done twice.
        queue: The work queue of its runs, instead of ``plugins``.
        concurrency: How many runs of it there may be at a time; 0 is no limit.
    """

    command: tuple[str | Conditional, ...] = ()
    script: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_-]*\.py)?$")] = ""
    stdout: str = ""
    timeout_s: Annotated[float, Field(gt=0, le=30 * 24 * 3600)] = 3600.0
    memory_gb: Annotated[float, Field(gt=0, le=4096)] = 8.0
    output_gb: Annotated[float, Field(gt=0, le=65536)] = 10.0
    processes: Annotated[int, Field(ge=1, le=100_000)] = 512
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    network: bool = False
    cache: bool = True
    queue: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    concurrency: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.command) == bool(self.script):
            raise ValueError("give either a command or a script")
        return self
