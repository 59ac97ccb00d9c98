"""HTML reports of archives, without a job."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from multiblast.reports.blast_report import write_blast_report
from multiblast.reports.html import write_html
from multiblast.reports.report_options import Formatting

__all__ = ["write_html_of"]


def write_html_of(archive: Path, output: Path, *, title: str = "Report", **facts: str) -> None:
    """Write the page of what `multiblast.archive.merge` wrote."""
    with TemporaryDirectory() as name:
        formatting = Formatting(format="15")
        (printed,) = write_blast_report(archive, formatting, program="", queries=0, directory=Path(name))
        write_html(printed, output, title=title, facts=facts)
