"""Typed options of all nine BLAST+ programs, one declaration an option."""

from __future__ import annotations

from multiblast.options.base import Options
from multiblast.options.excluded import EXCLUDED
from multiblast.options.independence import INDEPENDENT, independent_from, is_independent, needs_own_process
from multiblast.options.parsing import options_from_config, parse_options
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
from multiblast.options.registry import (
    PROGRAMS,
    AnyOptions,
    ProgramName,
    options_for,
)

__all__ = [
    "EXCLUDED",
    "INDEPENDENT",
    "PROGRAMS",
    "AnyOptions",
    "BlastnOptions",
    "BlastpOptions",
    "BlastxOptions",
    "DeltablastOptions",
    "Options",
    "ProgramName",
    "PsiblastOptions",
    "RpsblastOptions",
    "RpstblastnOptions",
    "TblastnOptions",
    "TblastxOptions",
    "independent_from",
    "is_independent",
    "needs_own_process",
    "options_for",
    "options_from_config",
    "parse_options",
]
