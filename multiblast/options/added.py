"""Programs that are not of BLAST+, but added by whoever knows of some; they are looked up when one is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from multiblast.errors import MultiblastError, Problem
from multiblast.ids import Canonical
from multiblast.options.base import Options
from multiblast.options.option import Option


@dataclass(frozen=True, slots=True)
class AddedProgram:
    """A program that was added.

    Attributes:
        title: What people read.
        make_options: Makes the model of its options.
        find: Returns the path of the executable; a `ProgramError` if it is not installed.
        version: Returns its version; a `ProgramError` if it is not installed, or in one that does not fit.
    """

    name: str
    title: str
    make_options: Callable[[], type[Options]]
    find: Callable[[], str]
    version: Callable[[], str]


Provider = Callable[[], Mapping[str, AddedProgram]]
"""Returns the programs that there are, by name; it is called whenever a name is looked up, so it must be quick."""

_providers: list[Provider] = []


def add_programs(provider: Provider) -> None:
    """Have programs looked up there as well."""
    if provider not in _providers:
        _providers.append(provider)


def added_programs() -> dict[str, AddedProgram]:
    """Return all programs that were added, by name."""
    found: dict[str, AddedProgram] = {}
    for provider in _providers:
        with suppress(MultiblastError):  # whoever lists them says what is wrong; the others are there all the same
            found = {**provider(), **found}
    return found


def is_taken(name: str) -> bool:
    """Return whether no option of a program that is added can be called so, as all options have something of it."""
    return hasattr(AddedOptions, name) or name in {*AddedOptions.model_fields, *AddedOptions.__class_vars__}


class AddedOptions(Options):
    """The options of a program that was added; they have no versions, presets or profiles, and exclude nothing."""

    @property
    def most_targets(self) -> int:
        """How many database sequences are kept per query; 0 if it cannot be known."""
        return int(self.value("max_target_seqs") or 0)

    @classmethod
    def declared_in(cls, version: str) -> dict[str, Option]:  # noqa: ARG003 - as of BLAST+
        """Return what is declared about each option."""
        return dict(cls.declared)

    def missing_in(self, version: str) -> list[Problem]:  # type: ignore[override]  # there are none  # noqa: ARG002
        """Return nothing: there is one set of options for all versions."""
        return []

    def deciding(self) -> dict[str, Canonical]:
        """Return all options that can change a result, given or not: a default is the table's, and may change."""
        return {name: value for name, value in self.explicit().items() if self.declared[name].decides_result}

    def arguments(self, paths: Mapping[str, str] | None = None) -> list[str]:  # noqa: ARG002 - as of BLAST+
        """Return what differs from the defaults, for people: the command is made from the program's table."""
        return [f"{name}={value!s}" for name, value in self.changed().items()]

    def contradictions(self) -> list[Problem]:
        """Return nothing: each option stands for itself."""
        return []
