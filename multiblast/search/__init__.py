"""Searching: a query is recorded, what must run is planned, searched in batches, and finished."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.search.batch_search import Outcome, Start
    from multiblast.search.batches import Batch
    from multiblast.search.context import SearchContext, options_of
    from multiblast.search.deflines import parse_deflines
    from multiblast.search.engine import SearchEngine
    from multiblast.search.plan import Plan
    from multiblast.search.plugins import search_plugin
    from multiblast.search.profiles import outputs_of, titled
    from multiblast.search.progress import Progress, board
    from multiblast.search.recorder import Recorded, Recorder
    from multiblast.search.resolver import Resolver
    from multiblast.search.run import SearchRun
    from multiblast.search.searched_job import SearchedJob, SequenceRow
    from multiblast.search.steps import Steps
    from multiblast.search.subject_names import SubjectNames
    from multiblast.search.submission import StoreKey, Submission, read_submission

__all__ = [
    "Batch",
    "Outcome",
    "Plan",
    "Progress",
    "Recorded",
    "Recorder",
    "Resolver",
    "SearchContext",
    "SearchEngine",
    "SearchRun",
    "SearchedJob",
    "SequenceRow",
    "Start",
    "Steps",
    "StoreKey",
    "SubjectNames",
    "Submission",
    "board",
    "options_of",
    "outputs_of",
    "parse_deflines",
    "read_submission",
    "search_plugin",
    "titled",
]

__getattr__ = lazy_exports(__name__)
