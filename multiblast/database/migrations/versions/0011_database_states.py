"""Which contents databases had, and ways of searching parts of them that were found wrong."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from multiblast.database.tables import UtcDateTime

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Apply."""
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "database_state",
        sa.Column("site", text(length=255), nullable=False),
        sa.Column("target", text(length=255), nullable=False),
        sa.Column("name", text(length=255), nullable=False),
        sa.Column("molecule", text(length=20), nullable=False),
        sa.Column("fingerprint", text(length=32), nullable=False),
        sa.Column("sequences", sa.BigInteger(), nullable=False),
        sa.Column("letters", sa.BigInteger(), nullable=False),
        sa.Column("first_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("site", "target", "name", "molecule", "fingerprint", name=op.f("pk_database_state")),
    )
    op.create_index(op.f("ix_database_state_fingerprint"), "database_state", ["fingerprint"])
    op.create_table(
        "refused_way",
        sa.Column("way", text(length=255), nullable=False),
        sa.Column("result_key", text(length=32), nullable=False),
        sa.Column("job_id", text(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("way", name=op.f("pk_refused_way")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("refused_way")
    op.drop_table("database_state")
