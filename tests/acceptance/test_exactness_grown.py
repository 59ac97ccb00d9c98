"""All programs and options of the table for grown databases, each by one draw of `make exactness`."""

from __future__ import annotations

import pytest

from tests.exactness.grown_databases import OPTIONS, draw, examine

_DRAWS = len(OPTIONS) * max(map(len, OPTIONS.values()))


@pytest.mark.long
@pytest.mark.parametrize("program", OPTIONS)
def test_parts_of_grown_databases_give_what_the_whole_gives(program: str) -> None:
    draws = [draw("1", number) for number in range(_DRAWS)]
    found = {one.seed: examine(one) for one in draws if one.program == program}
    assert {seed: one.different for seed, one in found.items() if one.different} == {}
    assert sum(one.same for one in found.values()) >= len(found)
