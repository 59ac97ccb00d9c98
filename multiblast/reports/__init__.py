"""Reports: a query job's result in any format."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.reports.report_options import Formatting
    from multiblast.reports.run import MadeReport, ReportRun, files_of
    from multiblast.reports.writer import ReportFile

__all__ = ["Formatting", "MadeReport", "ReportFile", "ReportRun", "files_of"]

__getattr__ = lazy_exports(__name__)
