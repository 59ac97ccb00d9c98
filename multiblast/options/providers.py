"""Programs that are not of BLAST+, but were added; they are looked up when one is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiblast.errors import MultiblastError

if TYPE_CHECKING:
    from multiblast.options.base import Options


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
        with suppress(MultiblastError):  # a list of them says what is wrong; the others are there all the same
            found = {**provider(), **found}
    return found
