"""What NCBI calls the parameters that are at fault, in messages to clients that know no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from multiblast.errors import InvalidInputError
from web.ncbi.searches import OPTIONS

_NAMES = {
    **{option: name for name, option in reversed(OPTIONS.items())},
    "gapopen": "GAPCOSTS",
    "gapextend": "GAPCOSTS",
    "dust": "FILTER",
    "seg": "FILTER",
    "soft_masking": "FILTER",
    "comp_based_stats": "COMPOSITION_BASED_STATISTICS",
    "lcase_masking": "LCASE_MASK",
    "ungapped": "UNGAPPED_ALIGNMENT",
    "query_loc": "QUERY_FROM, QUERY_TO",
    "task": "PROGRAM",
    "query": "QUERY",
    "site": "DATABASE",
    "targets": "DATABASE",
    "numDescriptions": "DESCRIPTIONS",
    "numAlignments": "ALIGNMENTS",
}
_KEY = re.compile(r"(?:jobConfig\.|blastConfig\.)?(\w+)(?:\[\d+\])?")


def in_words(error: InvalidInputError, given: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong, each with the name that the client gave what is at fault.

    Args:
        error: With the names of our API.
        given: The parameters, their names in capitals.
    """
    for problem in error.problems:
        found = _KEY.fullmatch(problem.key)
        option = found[1] if found else ""
        name = next((name for name, one in OPTIONS.items() if one == option and name in given), _NAMES.get(option))
        yield str(replace(problem, key=name or problem.key))
