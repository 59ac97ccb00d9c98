"""Who hears of what changes of plugin jobs."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from multiblast.database.tables import UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply."""
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "webhook",
        sa.Column("job_id", text(length=32), nullable=False),
        sa.Column("url", text(length=2000), nullable=False),
        sa.Column("event", text(length=20), nullable=False),
        sa.Column("source", text(length=2000), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "url", "event", name=op.f("pk_webhook")),
    )
    op.create_index(op.f("ix_webhook_due_at"), "webhook", ["due_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("webhook")
