"""The actions of the query and report services: flows, scripts and the command line all call these."""

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
from multiblast.actions.query_service import QueryService
from multiblast.actions.report_service import ReportService

__all__ = [
    "Answer",
    "ChildItem",
    "CreatedQuery",
    "CreatedReport",
    "Errors",
    "Event",
    "JobConfig",
    "ProgramFailure",
    "QueryDetails",
    "QueryItem",
    "QueryService",
    "QueryTarget",
    "ReportDetails",
    "ReportItem",
    "ReportListedFile",
    "ReportService",
    "SequenceFailure",
    "UserMeta",
    "error_answer",
]
