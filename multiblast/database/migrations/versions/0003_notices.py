"""Who wants to be told when a job ends."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import multiblast.database.tables

revision = '0003'
down_revision = '0002'

TIME = multiblast.database.tables.UtcDateTime(timezone=True)
STRING = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table('notice',
    sa.Column('job_id', STRING(length=32), nullable=False),
    sa.Column('url', STRING(length=2000), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.Column('told', STRING(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('due_at', TIME, nullable=False),
    sa.Column('problem', STRING(), nullable=False),
    sa.PrimaryKeyConstraint('job_id', 'url', name=op.f('pk_notice'))
    )
    op.create_index(op.f('ix_notice_due_at'), 'notice', ['due_at'], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f('ix_notice_due_at'), table_name='notice')
    op.drop_table('notice')
