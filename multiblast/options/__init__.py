"""Typed options of all nine BLAST+ programs, one declaration per option."""

from __future__ import annotations

from multiblast.options.base import Options
from multiblast.options.excluded import EXCLUDED, EXCLUDED_OF
from multiblast.options.independence import Independence, independence_of, needs_own_process
from multiblast.options.parser import options_from_config, parse_options
from multiblast.options.programs import PROGRAMS, ProgramName, options_for

__all__ = [
    "EXCLUDED",
    "EXCLUDED_OF",
    "PROGRAMS",
    "Independence",
    "Options",
    "ProgramName",
    "independence_of",
    "needs_own_process",
    "options_for",
    "options_from_config",
    "parse_options",
]
