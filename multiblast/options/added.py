"""The options of programs that are not of BLAST+, but were added."""

from __future__ import annotations

from collections.abc import Mapping

from multiblast.errors import Problem
from multiblast.ids import Canonical
from multiblast.options.base import Options
from multiblast.options.option import Option


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
