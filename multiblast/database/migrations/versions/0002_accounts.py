"""Guests, shares, use, turns, discarded objects, and what an expired job's results were."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import multiblast.database.tables

revision = '0002'
down_revision = '0001'

TIME = multiblast.database.tables.UtcDateTime(timezone=True)
STRING = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table('guest',
    sa.Column('id', STRING(length=32), nullable=False),
    sa.Column('token_hash', STRING(length=64), nullable=False),
    sa.Column('user', STRING(length=255), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_guest')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_guest_token_hash'))
    )
    op.create_table('share_grant',
    sa.Column('token_hash', STRING(length=64), nullable=False),
    sa.Column('job_id', STRING(length=32), nullable=False),
    sa.Column('granted_by', STRING(length=255), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('expires_at', TIME, nullable=True),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_share_grant'))
    )
    op.create_index(op.f('ix_share_grant_job_id'), 'share_grant', ['job_id'], unique=False)
    op.create_table('usage',
    sa.Column('owner', STRING(length=255), nullable=False),
    sa.Column('hour', TIME, nullable=False),
    sa.Column('sequences', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('owner', 'hour', name=op.f('pk_usage'))
    )
    op.create_table('turn',
    sa.Column('number', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('holder', STRING(length=64), nullable=False),
    sa.Column('owner', STRING(length=255), nullable=False),
    sa.Column('started_at', TIME, nullable=True),
    sa.Column('expires_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_turn')),
    sa.UniqueConstraint('holder', name=op.f('uq_turn_holder'))
    )
    op.create_index(op.f('ix_turn_started_at'), 'turn', ['started_at'], unique=False)
    op.create_table('discarded',
    sa.Column('key', STRING(), nullable=False),
    sa.Column('since', TIME, nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_discarded'))
    )
    with op.batch_alter_table('query_job', schema=None) as batch_op:
        batch_op.add_column(
            sa.Column('expired_digest', STRING(length=64), server_default='', nullable=False)
        )
    with op.batch_alter_table('run', schema=None) as batch_op:
        batch_op.add_column(sa.Column('search_key', STRING(length=32), server_default='', nullable=False))
    # What the last run of each job searched is known; older runs stay without.
    op.execute(
        'UPDATE run SET search_key = (SELECT search_key FROM query_job WHERE query_job.id = run.job_id) '
        'WHERE number IN (SELECT MAX(number) FROM run GROUP BY job_id) '
        'AND EXISTS (SELECT 1 FROM query_job WHERE query_job.id = run.job_id)'
    )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table('run', schema=None) as batch_op:
        batch_op.drop_column('search_key')
    with op.batch_alter_table('query_job', schema=None) as batch_op:
        batch_op.drop_column('expired_digest')
    for table in ('discarded', 'turn', 'usage', 'share_grant', 'guest'):
        op.drop_table(table)
