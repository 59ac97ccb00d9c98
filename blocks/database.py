"""The block of the job database."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from multiblast.database import Database
from multiblast.settings import home

__all__ = ["JobDatabase"]


class JobDatabase(Block):
    """Where jobs, results and their history are recorded."""

    _block_type_name = "BLAST job database"
    _block_type_slug = "blast-job-database"
    _description = "Where multiblast records jobs, results and their history."
    _code_example = 'from blocks.database import JobDatabase\n\nJobDatabase.load("default").database()'

    url: SecretStr = Field(
        default=SecretStr(""),
        description="An SQLAlchemy URL: `sqlite:///PATH` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`. "
        "Empty: a SQLite file in multiblast's home.",
    )

    def database(self) -> Database:
        """Return the database; it is opened at first use."""
        return Database(self.url.get_secret_value() or f"sqlite:///{home() / 'jobs.sqlite'}")
