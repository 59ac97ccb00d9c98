"""Jobs that plugins do, and whose outcome they take in."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from multiblast.database.tables import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply."""
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "plugin_job",
        sa.Column("id", text(length=32), nullable=False),
        sa.Column("plugin", text(length=60), nullable=False),
        sa.Column("version", text(length=60), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("status", text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rounds", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("stderr", sa.Text(), nullable=False),
        sa.Column("expired_digest", text(length=64), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("finished_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("used_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plugin_job")),
    )
    op.create_index("ix_plugin_job_status_created", "plugin_job", ["status", "created_at"])
    op.create_index(op.f("ix_plugin_job_plugin"), "plugin_job", ["plugin"])
    op.create_index(op.f("ix_plugin_job_used_at"), "plugin_job", ["used_at"])
    op.create_table(
        "plugin_source",
        sa.Column("job_id", text(length=32), nullable=False),
        sa.Column("source_id", text(length=32), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "source_id", name=op.f("pk_plugin_source")),
    )
    op.create_index(op.f("ix_plugin_source_source_id"), "plugin_source", ["source_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("plugin_source")
    op.drop_table("plugin_job")
