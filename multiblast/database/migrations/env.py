"""Alembic's environment: one connection, handed over by `multiblast.database.engine`."""

from alembic import context

from multiblast.database.metadata import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter columns in place
)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7202601)")  # two programs may start at once
    context.run_migrations()
