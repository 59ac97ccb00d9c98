"""The nine programs: their options and what they compare with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from multiblast.errors import NotFoundError
from multiblast.options.base import Options
from multiblast.options.programs import (
    BlastnOptions,
    BlastpOptions,
    BlastxOptions,
    DeltablastOptions,
    PsiblastOptions,
    RpsblastOptions,
    RpstblastnOptions,
    TblastnOptions,
    TblastxOptions,
)

__all__ = [
    "PROGRAMS",
    "AnyOptions",
    "ProgramName",
    "options_for",
]


AnyOptions = Annotated[
    BlastnOptions
    | BlastpOptions
    | BlastxOptions
    | TblastnOptions
    | TblastxOptions
    | PsiblastOptions
    | DeltablastOptions
    | RpsblastOptions
    | RpstblastnOptions,
    Field(discriminator="program"),
]
"""The options of any program, told apart by ``program``."""

_MODELS: Mapping[str, type[Options]] = {
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
ProgramName = Literal[
    "blastn", "blastp", "blastx", "tblastn", "tblastx", "psiblast", "deltablast", "rpsblast", "rpstblastn"
]
PROGRAMS: tuple[ProgramName, ...] = get_args(ProgramName)


def options_for(program: str) -> type[Options]:
    """Return the model of a program's options.

    Raises:
        NotFoundError: not one of the nine programs.
    """
    if program not in _MODELS:
        raise NotFoundError("program", program, f"choose one of {', '.join(PROGRAMS)}")
    return _MODELS[program]
