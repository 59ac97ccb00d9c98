"""How users are known over HTTP, and jobs to clients of NCBI's."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import multiblast.database.tables

revision = '0004'
down_revision = '0003'

TIME = multiblast.database.tables.UtcDateTime(timezone=True)
STRING = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table('user_token',
    sa.Column('token_hash', STRING(length=64), nullable=False),
    sa.Column('user', STRING(length=255), nullable=False),
    sa.Column('name', STRING(length=255), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.Column('expires_at', TIME, nullable=True),
    sa.Column('revoked_at', TIME, nullable=True),
    sa.Column('used_at', TIME, nullable=True),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_user_token'))
    )
    op.create_index(op.f('ix_user_token_user'), 'user_token', ['user'], unique=False)
    op.create_table('request_id',
    sa.Column('id', STRING(length=11), nullable=False),
    sa.Column('job_id', STRING(length=32), nullable=False),
    sa.Column('owner', STRING(length=255), nullable=False),
    sa.Column('created_at', TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request_id'))
    )
    op.create_index(op.f('ix_request_id_job_id'), 'request_id', ['job_id'], unique=False)
    op.create_index(op.f('ix_request_id_owner'), 'request_id', ['owner'], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table('request_id')
    op.drop_table('user_token')
