"""What a user's client wants to read again of a job."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    """Apply."""
    op.add_column('link', sa.Column('client_notes', sa.JSON(), server_default='{}', nullable=False))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('link') as batch_op:
        batch_op.drop_column('client_notes')
