"""Searching: record a query, plan what must run, run it in batches, finish."""

from multiblast.search.deflines import parse_deflines
from multiblast.search.planning import Batch, Plan
from multiblast.search.profiles import outputs_of, titled
from multiblast.search.progress import Progress, board
from multiblast.search.recording import Recorded
from multiblast.search.running import Outcome, transient
from multiblast.search.search import JobState, Search
from multiblast.search.subject_names import SubjectNames
from multiblast.search.submission import StoreKey, Submission, read_submission
from multiblast.search.table import SearchedJob, SequenceRow

__all__ = [
    "Batch",
    "JobState",
    "Outcome",
    "Plan",
    "Progress",
    "Recorded",
    "Search",
    "SearchedJob",
    "SequenceRow",
    "StoreKey",
    "SubjectNames",
    "Submission",
    "board",
    "outputs_of",
    "parse_deflines",
    "read_submission",
    "titled",
    "transient",
]
