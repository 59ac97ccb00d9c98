"""The actions on query and report jobs: flows, scripts and the command line all call these."""

from multiblast.actions.answers import (
    Answer,
    ChildItem,
    CreatedQuery,
    CreatedReport,
    Errors,
    Event,
    JobConfig,
    ProgramFailure,
    QueryDetails,
    QueryItem,
    QueryTarget,
    ReportDetails,
    ReportItem,
    ReportListedFile,
    SequenceFailure,
    UserMeta,
    error_answer,
)
from multiblast.actions.queries import Queries
from multiblast.actions.reports import Reports

__all__ = [
    "Answer",
    "ChildItem",
    "CreatedQuery",
    "CreatedReport",
    "Errors",
    "Event",
    "JobConfig",
    "ProgramFailure",
    "Queries",
    "QueryDetails",
    "QueryItem",
    "QueryTarget",
    "ReportDetails",
    "ReportItem",
    "ReportListedFile",
    "Reports",
    "SequenceFailure",
    "UserMeta",
    "error_answer",
]
