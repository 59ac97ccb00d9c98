"""The programs: what each of BLAST+ compares with what, and the model of its options, made from their declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Literal, get_args

from pydantic import create_model

from multiblast.errors import NotFoundError
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.options.base import Options
from multiblast.options.declarations import OPTIONS
from multiblast.options.option import Option
from multiblast.options.providers import AddedProgram, added_programs

ProgramName = Literal[
    "blastn", "blastp", "blastx", "tblastn", "tblastx", "psiblast", "deltablast", "rpsblast", "rpstblastn"
]
_SUFFIX = "Options"
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)


# What each compares with what, and what it does.
_DESCRIBED: Mapping[str, tuple[Molecule, DatabaseKind, str]] = {
    "blastn": (
        Molecule.NUCLEOTIDE,
        DatabaseKind.NUCLEOTIDE,
        "Search nucleotide queries in a nucleotide database.",
    ),
    "blastp": (Molecule.PROTEIN, DatabaseKind.PROTEIN, "Search protein queries in a protein database."),
    "blastx": (
        Molecule.NUCLEOTIDE,
        DatabaseKind.PROTEIN,
        "Search translated nucleotide queries in a protein database.",
    ),
    "tblastn": (
        Molecule.PROTEIN,
        DatabaseKind.NUCLEOTIDE,
        "Search protein queries in a translated nucleotide database.",
    ),
    "tblastx": (
        Molecule.NUCLEOTIDE,
        DatabaseKind.NUCLEOTIDE,
        "Search translated nucleotide queries in a translated nucleotide database.",
    ),
    "psiblast": (
        Molecule.PROTEIN,
        DatabaseKind.PROTEIN,
        "Search protein queries in a protein database, several times, each with the profile of what was found.",
    ),
    "deltablast": (
        Molecule.PROTEIN,
        DatabaseKind.PROTEIN,
        "Search protein queries in a protein database with profiles made from conserved domains.",
    ),
    "rpsblast": (Molecule.PROTEIN, DatabaseKind.PROFILE, "Search protein queries in a database of profiles."),
    "rpstblastn": (
        Molecule.NUCLEOTIDE,
        DatabaseKind.PROFILE,
        "Search translated nucleotide queries in a database of profiles.",
    ),
}
_MODELS: dict[str, type[Options]] = {}
_lock = Lock()


def program_names() -> tuple[str, ...]:
    """Return the names of all programs: those of BLAST+, then those that were added."""
    return (*PROGRAMS, *(name for name in added_programs() if name not in _DESCRIBED))


def is_program(name: str) -> bool:
    """Return whether there is a program of this name."""
    return name in _DESCRIBED or name in added_programs()


def added_program(name: str) -> AddedProgram | None:
    """Return a program that was added; None for one of BLAST+, or if there is none of this name."""
    return None if name in _DESCRIBED else added_programs().get(name)


def options_for(program: str) -> type[Options]:
    """Return the model of a program's options; `NotFoundError` if there is no such program."""
    if added := added_program(program):
        return added.make_options()
    if program not in _DESCRIBED:
        raise NotFoundError("program", program, f"choose one of {', '.join(program_names())}")
    with _lock:  # there is one of each, made when it is first used: most processes use one
        if program not in _MODELS:
            _MODELS[program] = _model(program)
        return _MODELS[program]


def _model(program: str) -> type[Options]:
    """Make the model of a program's options: a class with their fields, as if written out."""
    query, searched, description = _DESCRIBED[program]
    declared = {option.name: option for option in OPTIONS if program in option.programs}
    return make_model(program, declared.values(), query, searched, description, Options)


def make_model(  # noqa: PLR0913, PLR0917 - what a model is made of
    program: str,
    options: Iterable[Option],
    query: Molecule,
    searched: DatabaseKind,
    description: str,
    base: type[Options],
) -> type[Options]:
    """Make the model of a program's options."""
    declared = {option.name: option for option in options}
    fields: dict[str, Any] = {"program": (Literal[program], program)}
    fields |= {name: option.pydantic_field(program) for name, option in declared.items()}
    model: type[Options] = create_model(
        program.capitalize() + _SUFFIX,
        __base__=base,
        __module__=__name__,  # so that it can be pickled
        __doc__=description,
        **fields,
    )
    model.declared = declared
    model.query_molecule = query
    model.database_kind = searched
    return model


def __getattr__(name: str) -> type[Options]:
    """Return the model of this name, as pickle looks for it."""
    program = name.removesuffix(_SUFFIX).lower()
    if name != program.capitalize() + _SUFFIX or not is_program(program):
        raise AttributeError(name)
    return options_for(program)
