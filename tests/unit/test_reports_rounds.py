"""What psiblast says of its rounds, put into reports of single queries."""

from __future__ import annotations

from pathlib import Path

from multiblast.reports.rounds import QueryRounds, complete

_ROUND = b"Results from round %d\n\nEffective search space used: 7\n\n\n  Database: one\n    Posted date\n"


def test_convergence_is_said_after_the_last_round_and_before_all_databases() -> None:
    report = _ROUND % 1 + _ROUND % 2 + b"\n\n  Database: two\n    Posted date\n"
    converged = QueryRounds(Path(), (), converged=True, again=())
    completed = complete(report, converged, is_pairwise=True)
    assert completed.replace(b"\nSearch has CONVERGED!\n", b"") == report
    assert completed.index(b"CONVERGED") == completed.rindex(b"used: 7\n") + len(b"used: 7\n\nSearch has ")
    assert complete(report, QueryRounds(Path(), (), converged=False, again=()), is_pairwise=True) == report
