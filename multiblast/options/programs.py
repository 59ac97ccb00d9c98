"""The nine programs: what each compares with what, and the model of its options, made from their declarations."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import create_model

from multiblast.errors import NotFoundError
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.options.base import Options
from multiblast.options.declarations import OPTIONS

ProgramName = Literal[
    "blastn", "blastp", "blastx", "tblastn", "tblastx", "psiblast", "deltablast", "rpsblast", "rpstblastn"
]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)


def _model(program: str, description: str, query: Molecule, searched: DatabaseKind) -> type[Options]:
    """Make the model of a program's options: a class with their fields, as if written out."""
    declared = {option.name: option for option in OPTIONS if program in option.programs}
    fields: dict[str, Any] = {"program": (Literal[program], program)}
    fields |= {name: option.pydantic_field(program) for name, option in declared.items()}
    model: type[Options] = create_model(
        f"{program.capitalize()}Options",
        __base__=Options,
        __module__=__name__,  # so that it can be pickled
        __doc__=description,
        **fields,
    )
    model.declared = declared
    model.query_molecule = query
    model.database_kind = searched
    return model


BlastnOptions = _model(
    "blastn", "Search nucleotide queries in a nucleotide database.", Molecule.NUCLEOTIDE, DatabaseKind.NUCLEOTIDE
)
BlastpOptions = _model(
    "blastp", "Search protein queries in a protein database.", Molecule.PROTEIN, DatabaseKind.PROTEIN
)
BlastxOptions = _model(
    "blastx", "Search translated nucleotide queries in a protein database.", Molecule.NUCLEOTIDE, DatabaseKind.PROTEIN
)
TblastnOptions = _model(
    "tblastn", "Search protein queries in a translated nucleotide database.", Molecule.PROTEIN, DatabaseKind.NUCLEOTIDE
)
TblastxOptions = _model(
    "tblastx",
    "Search translated nucleotide queries in a translated nucleotide database.",
    Molecule.NUCLEOTIDE,
    DatabaseKind.NUCLEOTIDE,
)
PsiblastOptions = _model(
    "psiblast",
    "Search protein queries in a protein database, several times, each with the profile of what was found.",
    Molecule.PROTEIN,
    DatabaseKind.PROTEIN,
)
DeltablastOptions = _model(
    "deltablast",
    "Search protein queries in a protein database with profiles made from conserved domains.",
    Molecule.PROTEIN,
    DatabaseKind.PROTEIN,
)
RpsblastOptions = _model(
    "rpsblast", "Search protein queries in a database of profiles.", Molecule.PROTEIN, DatabaseKind.PROFILE
)
RpstblastnOptions = _model(
    "rpstblastn",
    "Search translated nucleotide queries in a database of profiles.",
    Molecule.NUCLEOTIDE,
    DatabaseKind.PROFILE,
)

_MODELS: dict[str, type[Options]] = {
    "blastn": BlastnOptions,
    "blastp": BlastpOptions,
    "blastx": BlastxOptions,
    "tblastn": TblastnOptions,
    "tblastx": TblastxOptions,
    "psiblast": PsiblastOptions,
    "deltablast": DeltablastOptions,
    "rpsblast": RpsblastOptions,
    "rpstblastn": RpstblastnOptions,
}


def options_for(program: str) -> type[Options]:
    """Return the model of a program's options.

    Raises:
        NotFoundError: not one of the nine programs.
    """
    if program not in _MODELS:
        raise NotFoundError("program", program, f"choose one of {', '.join(PROGRAMS)}")
    return _MODELS[program]
