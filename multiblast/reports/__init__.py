"""Reports: a query job's result in any format."""

from multiblast.reports.making import ReportFile
from multiblast.reports.reports import MadeReport, Reports, ReportVersion
from multiblast.reports.requests import ReportFormat, ReportRequest, read_report_request

__all__ = [
    "MadeReport",
    "ReportFile",
    "ReportFormat",
    "ReportRequest",
    "ReportVersion",
    "Reports",
    "read_report_request",
]
