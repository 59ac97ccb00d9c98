"""What plugins of Qiita are to do, and what they said of it."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply."""
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "qiita_job",
        sa.Column("ticket", text(length=32), nullable=False),
        sa.Column("base", text(), nullable=False),
        sa.Column("command", text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("artifacts", sa.JSON(), nullable=False),
        sa.Column("preparations", sa.JSON(), nullable=False),
        sa.Column("status", text(length=16), nullable=False),
        sa.Column("step", text(), nullable=False),
        sa.Column("message", text(), nullable=False),
        sa.Column("outputs", sa.JSON(), nullable=False),
        sa.Column("summaries", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", name=op.f("pk_qiita_job")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("qiita_job")
