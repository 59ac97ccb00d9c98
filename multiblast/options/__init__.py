"""Typed options of all programs; for those of BLAST+, one declaration per option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.options.added import AddedOptions, is_taken
    from multiblast.options.base import Options
    from multiblast.options.excluded import EXCLUDED, EXCLUDED_OF
    from multiblast.options.independence import Independence, independence_of, needs_one_thread, needs_own_process
    from multiblast.options.parser import options_from_config, parse_options
    from multiblast.options.programs import (
        PROGRAMS,
        ProgramName,
        added_program,
        is_program,
        make_model,
        options_for,
        program_names,
    )
    from multiblast.options.providers import AddedProgram, add_programs, added_programs

__all__ = [
    "EXCLUDED",
    "EXCLUDED_OF",
    "PROGRAMS",
    "AddedOptions",
    "AddedProgram",
    "Independence",
    "Options",
    "ProgramName",
    "add_programs",
    "added_program",
    "added_programs",
    "independence_of",
    "is_program",
    "is_taken",
    "make_model",
    "needs_one_thread",
    "needs_own_process",
    "options_for",
    "options_from_config",
    "parse_options",
    "program_names",
]

__getattr__ = lazy_exports(__name__)
