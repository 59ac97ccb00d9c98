"""Jobs: their ids, their states, their links, their history."""

from multiblast.jobs.addresses import address_of
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
    "address_of",
    "move",
    "report_id",
    "sequence_digest",
    "summary_problems",
]
