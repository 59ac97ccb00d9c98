"""What psiblast says of its rounds, put into reports of single queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiblast.reports.rounds import QueryRounds, complete

_ROUND = b"Results from round %d\n\nEffective search space used: 7\n\n\n  Database: one\n    Posted date\n"
_HEADING = b"Sequences producing significant alignments:                          (Bits)  Value\n"
_ROW = b"s31 another hit                                                        134     2e-40\n"
_FOUND, _NEW = (
    b"Sequences used in model and found again:\n\n",
    b"\nSequences not found previously or not previously below threshold:\n\n",
)


def test_convergence_is_said_after_the_last_round_and_before_all_databases() -> None:
    report = _ROUND % 1 + _ROUND % 2 + b"\n\n  Database: two\n    Posted date\n"
    converged = QueryRounds(Path(), (), converged=True, again=())
    completed = complete(report, converged, is_pairwise=True)
    assert completed.replace(b"\nSearch has CONVERGED!\n", b"") == report
    assert completed.index(b"CONVERGED") == completed.rindex(b"used: 7\n") + len(b"used: 7\n\nSearch has ")
    assert complete(report, QueryRounds(Path(), (), converged=False, again=()), is_pairwise=True) == report


@pytest.mark.parametrize(
    ("again", "listed"),
    [
        ((), b"\n" + _ROW),  # nothing was taken in the round before
        ((True,), _FOUND + _ROW + _NEW),
        ((False,), _FOUND + _NEW + _ROW),  # all that was taken then, as with `-culling_limit`, is not found any more
    ],
)
def test_sequences_are_listed_by_whether_the_profile_was_made_of_them(again: tuple[bool, ...], listed: bytes) -> None:
    rounds = QueryRounds(Path(), (), converged=False, again=(again,))
    printed = complete(_HEADING + b"\n" + _ROW + b"\n", rounds, is_pairwise=True)
    assert printed == _HEADING + listed + b"\n"
