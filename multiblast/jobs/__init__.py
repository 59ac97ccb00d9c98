"""Jobs: their ids, their states, their links, their history."""

from multiblast.jobs.identity import JobConfig, TargetName, report_id, sequence_digest
from multiblast.jobs.jobs import Child, Counts, Jobs
from multiblast.jobs.recording import NewSequence
from multiblast.jobs.states import MOVES, move

__all__ = [
    "MOVES",
    "Child",
    "Counts",
    "JobConfig",
    "Jobs",
    "NewSequence",
    "TargetName",
    "move",
    "report_id",
    "sequence_digest",
]
