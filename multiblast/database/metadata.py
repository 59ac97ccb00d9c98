"""All tables of the job database: to a process, only those exist whose modules it has imported, as this one does."""

import multiblast.database.account_tables
import multiblast.database.plugin_tables
import multiblast.database.search_tables
import multiblast.database.site_tables
import multiblast.database.state_tables  # noqa: F401 - for its tables, as above
from multiblast.database.tables import Table

__all__ = ["METADATA"]

METADATA = Table.metadata
