"""Reports: a query job's result in any format."""

from multiblast.reports.formatting import Formatting
from multiblast.reports.reports import MadeReport, Reports, ReportVersion
from multiblast.reports.writer import ReportFile

__all__ = [
    "Formatting",
    "MadeReport",
    "ReportFile",
    "ReportVersion",
    "Reports",
]
