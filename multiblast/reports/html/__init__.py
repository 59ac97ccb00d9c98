"""The HTML report: one file, for people."""

from multiblast.reports.html.page_writer import write_html, write_html_report

__all__ = ["write_html", "write_html_report"]
