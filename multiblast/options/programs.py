"""The nine programs: what each compares with what, and the model of its options, made from their declarations."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any, Literal, get_args

from pydantic import create_model

from multiblast.errors import NotFoundError
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.options.base import Options
from multiblast.options.declarations import OPTIONS

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


def options_for(program: str) -> type[Options]:
    """Return the model of a program's options; `NotFoundError` if it is not one of the nine."""
    if program not in _DESCRIBED:
        raise NotFoundError("program", program, f"choose one of {', '.join(PROGRAMS)}")
    with _lock:  # there is one of each, made when it is first used: most processes use one
        if program not in _MODELS:
            _MODELS[program] = _model(program)
        return _MODELS[program]


def _model(program: str) -> type[Options]:
    """Make the model of a program's options: a class with their fields, as if written out."""
    query, searched, description = _DESCRIBED[program]
    declared = {option.name: option for option in OPTIONS if program in option.programs}
    fields: dict[str, Any] = {"program": (Literal[program], program)}
    fields |= {name: option.pydantic_field(program) for name, option in declared.items()}
    model: type[Options] = create_model(
        program.capitalize() + _SUFFIX,
        __base__=Options,
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
    if name != program.capitalize() + _SUFFIX or program not in _DESCRIBED:
        raise AttributeError(name)
    return options_for(program)
