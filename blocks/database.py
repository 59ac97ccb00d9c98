"""The block of the job database."""

from __future__ import annotations

from pydantic import Field, SecretStr

from blocks.appearance import OurBlock
from multiblast.database import Database
from multiblast.settings import home


class JobDatabase(OurBlock):
    """Where jobs, results and their history are recorded."""

    _block_type_name = "BLAST job database"
    _block_type_slug = "blast-job-database"
    _description = "Where multiblast records jobs, results and their history."
    _code_example = """
Keep jobs in PostgreSQL:
```python
from blocks.database import JobDatabase

url = "postgresql+psycopg://multiblast:SECRET@db.example.org/multiblast"
JobDatabase(url=url).save("default", overwrite=True)
```
Open a database:
```python
from blocks.database import JobDatabase

database = JobDatabase.load("BLOCK_NAME").database()
```
"""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="An SQLAlchemy URL: `sqlite:///PATH` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`. "
        "Empty: a SQLite file in multiblast's home.",
    )

    def database(self) -> Database:
        """Return the database; it is opened at first use."""
        return Database(self.url.get_secret_value() or f"sqlite:///{home() / 'jobs.sqlite'}")
