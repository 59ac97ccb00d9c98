"""Jobs: their ids, their states, their links, their history."""

from multiblast.jobs.identity import JobConfig, TargetName, report_id, sequence_digest
from multiblast.jobs.jobs import Child, Counts, Jobs, NewSequence
from multiblast.jobs.ownership import Links, summary_problems
from multiblast.jobs.states import ACTIVE, ENDED, MOVES, RESTARTABLE, move

__all__ = [
    "ACTIVE",
    "ENDED",
    "MOVES",
    "RESTARTABLE",
    "Child",
    "Counts",
    "JobConfig",
    "Jobs",
    "Links",
    "NewSequence",
    "TargetName",
    "move",
    "report_id",
    "sequence_digest",
    "summary_problems",
]
