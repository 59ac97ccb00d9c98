"""By which way of searching a part of the databases results were found."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply."""
    op.add_column("pack", sa.Column("way", sa.String(32), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("pack") as table:
        table.drop_column("way")
