"""Alembic's environment: one connection, handed over by `multiblast.database.engine`."""

from alembic import context

from multiblast.registry.model.tables import RegistryTable

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=RegistryTable.metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter columns in place
)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7202602)")  # two programs may start at once
    context.run_migrations()
