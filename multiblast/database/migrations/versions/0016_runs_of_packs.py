"""Which run found the results of a pack."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Apply."""
    op.add_column("pack", sa.Column("run_number", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.execute("ALTER TABLE pack DROP COLUMN run_number")
