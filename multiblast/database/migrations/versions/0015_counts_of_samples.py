"""What samples of databases showed of the candidates of queries."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply."""
    op.add_column("result", sa.Column("counted", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.execute("ALTER TABLE result DROP COLUMN counted")
