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


_MODELS: dict[str, type[Options]] = {}


def _model(program: str, query: str, searched: str, description: str) -> type[Options]:
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
    model.query_molecule = Molecule(query)
    model.database_kind = DatabaseKind(searched)
    _MODELS[program] = model
    return model


BlastnOptions = _model("blastn", "nucleotide", "nucleotide", "Search nucleotide queries in a nucleotide database.")
BlastpOptions = _model("blastp", "protein", "protein", "Search protein queries in a protein database.")
BlastxOptions = _model("blastx", "nucleotide", "protein", "Search translated nucleotide queries in a protein database.")
TblastnOptions = _model(
    "tblastn", "protein", "nucleotide", "Search protein queries in a translated nucleotide database."
)
TblastxOptions = _model(
    "tblastx", "nucleotide", "nucleotide", "Search translated nucleotide queries in a translated nucleotide database."
)
PsiblastOptions = _model(
    "psiblast",
    "protein",
    "protein",
    "Search protein queries in a protein database, several times, each with the profile of what was found.",
)
DeltablastOptions = _model(
    "deltablast",
    "protein",
    "protein",
    "Search protein queries in a protein database with profiles made from conserved domains.",
)
RpsblastOptions = _model("rpsblast", "protein", "profile", "Search protein queries in a database of profiles.")
RpstblastnOptions = _model(
    "rpstblastn", "nucleotide", "profile", "Search translated nucleotide queries in a database of profiles."
)


def options_for(program: str) -> type[Options]:
    """Return the model of a program's options; `NotFoundError` if it is not one of the nine."""
    if program not in _MODELS:
        raise NotFoundError("program", program, f"choose one of {', '.join(PROGRAMS)}")
    return _MODELS[program]
