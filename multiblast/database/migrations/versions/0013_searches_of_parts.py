"""What was searched in a part of its databases, with results of an earlier state."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply."""
    op.add_column("run", sa.Column("known_before", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("batch_run", sa.Column("part", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("batch_run") as table:
        table.drop_column("part")
    with op.batch_alter_table("run") as table:
        table.drop_column("known_before")
