"""Write the reference of report formats: ``python docs/reference/make_formats.py``."""

from __future__ import annotations

from pathlib import Path

from multiblast.reports import Formatting
from multiblast.reports.formats import FORMATS, ReportFormat

PAGE = Path(__file__).with_name("formats.md")

INTRODUCTION = """# Report formats

*Made by `docs/reference/make_formats.py` from the table in `multiblast/reports/formats.py`.*

A number is what BLAST+ calls `-outfmt`, and such reports are [the same as BLAST+'s](exactness.md). The other formats
are ours: [a page](html-report.md), [a table of hits](hits.md), and the [profiles](exactness.md#profiles) that a search
kept. Beside its files each report has `report.zip` with all of them. Commands write only the files themselves, and none
over a file of that name that has other content, as of another format, unless with `--overwrite`.

| Format | What it is | First file | Media type | Options of its own | Programs |
|---|---|---|---|---|---|
"""
FIELDS = """
## Columns

`formatFields` chooses the columns of a format, in their order:
"""


def page() -> str:
    """Return the whole page."""
    by_fields: dict[tuple[str, ...], list[str]] = {}
    for row in FORMATS.values():
        if row.fields:
            by_fields.setdefault(row.fields, []).append(row.name)
    chosen = [
        f"- {', '.join(names)}: {' '.join(f'`{field}`' for field in fields)}" for fields, names in by_fields.items()
    ]
    return INTRODUCTION + "\n".join(map(_row, FORMATS.values())) + "\n" + FIELDS + "\n".join(["", *chosen, ""])


def _row(row: ReportFormat) -> str:
    names = (*(("fields",) if row.fields else ()), *row.options)
    options = ", ".join(f"`{Formatting.model_fields[name].alias or name}`" for name in names)
    first = "`pssm.asn1`" if row.from_profiles else f"`report.{row.extension}`"
    return (
        f"| `{row.name}` | {row.label} | {first} | {row.media_type} | {options} | {', '.join(row.programs) or 'all'} |"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
