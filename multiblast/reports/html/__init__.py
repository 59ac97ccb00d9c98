"""The HTML report: one file, for people."""

from __future__ import annotations

from multiblast.reports.html.writing import write_html

__all__ = ["write_html"]
