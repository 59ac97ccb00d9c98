"""The table of exact ways holds what is compared, and nothing else."""

from __future__ import annotations

import re

import pytest

from multiblast.grown import way_for
from multiblast.grown.way import TABLE
from multiblast.options import PROGRAMS, parse_options
from tests.exactness.grown_databases import OPTIONS


@pytest.mark.parametrize("program", PROGRAMS)
def test_table_has_the_options_that_are_compared(program: str) -> None:
    compared = {name for text in OPTIONS.get(program, ()) for name in re.findall(r"-([a-z]\w+)", text)}
    assert TABLE.get(program, frozenset()) == compared - {"fast", "short", "megablast"}


@pytest.mark.parametrize(
    ("program", "given"),
    [
        ("blastp", {"culling_limit": "1"}),
        ("blastp", {"dbsize": "1000000"}),
        ("blastn", {"task": "rmblastn"}),
        ("psiblast", {"num_iterations": "2"}),
        ("rpsblast", {}),
        ("deltablast", {}),
    ],
)
def test_other_searches_are_of_the_whole(program: str, given: dict[str, str]) -> None:
    assert way_for(parse_options(program, given)) is None
