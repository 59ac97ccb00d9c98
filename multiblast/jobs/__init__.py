"""Jobs: their ids, their states, their links, their history."""

from multiblast.jobs.addresses import address_of
from multiblast.jobs.child_columns import ChildColumns, Ids
from multiblast.jobs.children import adopted, adopted_slices, child_rows, child_status, has_result, is_child
from multiblast.jobs.id_set import IdSet
from multiblast.jobs.identity import JobConfig, TargetName, plugin_job_id, report_id, sequence_digest
from multiblast.jobs.jobs import Child, Jobs
from multiblast.jobs.lineage import descendants, newest_plugin_jobs
from multiblast.jobs.ownership import Links, summary_problems
from multiblast.jobs.recording import NewSequence
from multiblast.jobs.runs import Counts
from multiblast.jobs.states import ACTIVE, ENDED, MOVES, OPEN, RESTARTABLE, move
from multiblast.jobs.wanted import MADE_BY_SEARCH, is_wanted, waits_for_search

__all__ = [
    "ACTIVE",
    "ENDED",
    "MADE_BY_SEARCH",
    "MOVES",
    "OPEN",
    "RESTARTABLE",
    "Child",
    "ChildColumns",
    "Counts",
    "IdSet",
    "Ids",
    "JobConfig",
    "Jobs",
    "Links",
    "NewSequence",
    "TargetName",
    "address_of",
    "adopted",
    "adopted_slices",
    "child_rows",
    "child_status",
    "descendants",
    "has_result",
    "is_child",
    "is_wanted",
    "move",
    "newest_plugin_jobs",
    "plugin_job_id",
    "report_id",
    "sequence_digest",
    "summary_problems",
    "waits_for_search",
]
