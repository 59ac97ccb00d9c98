"""The rows of a job as its page shows them: found, filtered, sorted and counted by the database."""

from __future__ import annotations

from pathlib import Path

from multiblast.database import Database, JobStatus
from multiblast.errors import FailureClass
from multiblast.installation import Installation
from multiblast.search.searched_job import RowChoice
from multiblast.sequences import Sequence
from multiblast.services import Services
from multiblast.settings import QueryLimits
from multiblast.stores import LocalStore
from multiblast.targets import Targets
from tests.support.http_service import config
from tests.support.people import ADMINISTRATOR

_NONE = ">nothing_like_it\nWWWWWWWWWWWW\n"
_FAILED = ">failed\nMKVLAAGIVGLLLAQWERTYIP\n"
_OPEN = ">open 100%_sure\nMKVLAAGIVGLLLAQWERTYIPMKV\n"


def test_rows_of_a_job_are_found_filtered_sorted_and_counted(
    database: Database, targets_root: Path, tmp_path: Path, proteins: list[Sequence]
) -> None:
    services = Services(database, LocalStore(tmp_path / "store"), Installation(), Targets(targets_root), QueryLimits())
    queries, known = services.queries, "".join(one.canonical.decode() for one in proteins[:3]) + _NONE
    queries.run(queries.create(ADMINISTRATOR, config(known, eValue=1e-10)).query_job_id).execute()
    job = queries.create(ADMINISTRATOR, config(known + _FAILED + _OPEN, eValue=1e-10)).query_job_id
    children = list(queries.jobs.children(queries.jobs.query(job)))
    queries.results.fail(children[4].result_key, FailureClass.ENGINE, "made up", "nobody")
    queries.jobs.move_query([job], JobStatus.IN_PROGRESS)

    def rows(**choice: object) -> tuple[list[int], int]:
        found, total = queries.rows(ADMINISTRATOR, job, RowChoice(**choice))  # type: ignore[arg-type]  # what a test wants
        return [row.position for row in found], total

    assert rows() == ([1, 2, 3, 4, 5, 6], 6)
    assert rows(first=3, count=2) == ([3, 4], 6)
    assert rows(find="KC1D_mouse") == ([1], 1)
    assert rows(find=queries.rows(ADMINISTRATOR, job, RowChoice())[0][1].best_hit)[0][0] == 2
    assert rows(find="100%_SURE open") == ([6], 1)
    assert rows(find="100_") == ([], 0)
    assert rows(only="hits", count=2) == ([1, 2], 3)
    assert rows(only="hits", first=3, count=2) == ([3], 3)
    assert rows(only="none") == ([4], 1)
    assert rows(only="failed") == ([5], 1)
    assert rows(only="open") == ([6], 1)
    hits = {row.position: row.hits for row in queries.rows(ADMINISTRATOR, job, RowChoice(only="hits"))[0]}
    assert rows(sort="hits", descending=True)[0] == [*sorted(hits, key=lambda one: (-hits[one], one)), 4, 5, 6]
    assert rows(sort="position", descending=True)[0] == [6, 5, 4, 3, 2, 1]
    assert rows(only="hits", sort="length")[0] == sorted(hits, key=lambda one: proteins[one - 1].length)
