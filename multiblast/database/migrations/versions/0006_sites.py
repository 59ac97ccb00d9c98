"""Machines elsewhere: sites, tickets, transfers, keys of grants."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import multiblast.database.tables

revision = '0006'
down_revision = '0005'

TIME = multiblast.database.tables.UtcDateTime(timezone=True)
STRING = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table('site',
    sa.Column('name', STRING(length=255), nullable=False),
    sa.Column('key_hash', STRING(length=64), nullable=False),
    sa.Column('pool', STRING(length=255), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('removed_at', TIME, nullable=True),
    sa.Column('used_at', TIME, nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_site')),
    sa.UniqueConstraint('key_hash', name=op.f('uq_site_key_hash'))
    )
    op.create_table('ticket',
    sa.Column('id', STRING(length=32), nullable=False),
    sa.Column('job_id', STRING(length=32), nullable=False),
    sa.Column('site', STRING(length=255), nullable=False),
    sa.Column('reads', sa.JSON(), nullable=False),
    sa.Column('writes', sa.JSON(), nullable=False),
    sa.Column('max_bytes', sa.BigInteger(), nullable=False),
    sa.Column('pushed_bytes', sa.BigInteger(), nullable=False),
    sa.Column('replaces', sa.Boolean(), nullable=False),
    sa.Column('refusals', sa.Integer(), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('expires_at', TIME, nullable=False),
    sa.Column('revoked_at', TIME, nullable=True),
    sa.Column('why', STRING(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ticket'))
    )
    op.create_table('transfer',
    sa.Column('number', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', TIME, nullable=False),
    sa.Column('ticket', STRING(length=32), nullable=False),
    sa.Column('job_id', STRING(length=32), nullable=False),
    sa.Column('site', STRING(length=255), nullable=False),
    sa.Column('address', STRING(length=64), nullable=False),
    sa.Column('verb', STRING(length=16), nullable=False),
    sa.Column('key', STRING(length=1024), nullable=False),
    sa.Column('start', sa.BigInteger(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', STRING(length=64), nullable=False),
    sa.Column('seconds', sa.Float(), nullable=False),
    sa.Column('outcome', STRING(length=16), nullable=False),
    sa.Column('reason', STRING(length=500), nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_transfer'))
    )
    op.create_table('grant_key',
    sa.Column('id', STRING(length=16), nullable=False),
    sa.Column('secret', STRING(length=64), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_grant_key'))
    )
    for table, column in (
        ('ticket', 'expires_at'), ('ticket', 'job_id'), ('ticket', 'site'),
        ('transfer', 'job_id'), ('transfer', 'key'), ('transfer', 'ticket'),
    ):
        op.create_index(op.f(f'ix_{table}_{column}'), table, [column], unique=False)


def downgrade() -> None:
    """Take back."""
    for table in ('grant_key', 'transfer', 'ticket', 'site'):
        op.drop_table(table)
