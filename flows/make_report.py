"""Make a report of a searched query, in any BLAST+ format."""

from __future__ import annotations

from prefect import flow

from multiblast.reports import Formatting, MadeReport
from multiblast.reports.formats import FORMATS, FormatChoice
from tasks.page import problems_on_page
from tasks.recovery import HOOKS
from tasks.reports import format_report, record_report, show_report
from tasks.runs import tag_run


@flow(name="make-report", flow_run_name="{format} of {job:.8}", **HOOKS)
async def make_report(  # noqa: PLR0913, PLR0917 - the fields of a form
    job: str,
    format: FormatChoice = FORMATS["0"].choice,  # noqa: A002 - BLAST+'s own word for it
    fields: str = "",
    options: dict[str, str] = {},  # noqa: B006 - Prefect's forms need a plain default; it is never changed
    user: str = "",
    partial: bool = False,
    notify: str = "",
    site: str = "",
    coupling: str = "",
) -> MadeReport:
    """Format a query job's result exactly as BLAST+ prints it, and keep the files.

    Args:
        job: The query job's id, as its run page shows it.
        format: What to make. The number is BLAST+'s -outfmt.
        fields: For tables and SAM: which columns, such as "std stitle". Empty for the standard ones.
        options: More formatter options by name, such as numDescriptions, numAlignments, lineLength or html.
        user: Whose list of reports the report is added to. Empty for nobody's.
        partial: Also for a job that is not complete: the report shows the sequences that are.
        notify: An https address to notify, by a signed POST, of how the report ended. Empty for none.
        site: A site elsewhere that formats it. Empty for here.
        coupling: How files reach the site: `https`, `filesystem`, or the URL of a store. Empty: as is configured.

    Returns:
        The report job and its files.
    """
    async with problems_on_page():
        formatting = Formatting.read(format, fields=fields, options=options)
        report_id = record_report(job, formatting, user, partial, notify)
        await tag_run(job, report_id)
        made = format_report(report_id, site, coupling)
    await show_report(made)
    return made
