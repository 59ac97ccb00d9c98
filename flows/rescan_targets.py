"""Look for databases that came or went, and offer them in the forms."""

from __future__ import annotations

from prefect import flow

from tasks.maintenance import scan_targets, update_target_choices
from tasks.page import show_table


@flow(name="rescan-targets", flow_run_name="rescan the targets")
async def rescan_targets() -> int:
    """List all databases under the targets root, and make them the choices of the submission forms.

    Returns:
        How many databases there are.
    """
    databases = scan_targets()
    update_target_choices(databases)
    rows = [
        {
            "target": database.display,
            "molecule": database.molecule,
            "sequences": database.sequences,
            "letters": database.letters,
            "built": f"{database.date:%Y-%m-%d}",
            "title": database.title,
        }
        for database in databases
    ]
    await show_table("targets", rows, "Databases that can be searched")
    return len(databases)
