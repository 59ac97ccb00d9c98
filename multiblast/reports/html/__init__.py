"""The HTML report: one file, for people."""

from multiblast.reports.html.page_writer import page_data, page_markup, write_html, write_html_report, write_page

__all__ = ["page_data", "page_markup", "write_html", "write_html_report", "write_page"]
