"""Children without rows of their own among the jobs; ids of sequences and results as bytes; packs by numbers."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from multiblast.database.engine import add_functions
from multiblast.database.tables import HexBytes, UtcDateTime

revision = "0012"
down_revision = "0011"

TEXT = sqlmodel.sql.sqltypes.AutoString
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _raw(column: str) -> str:
    return f"unhex({column})" if _is_sqlite() else f"decode({column}, 'hex')"


def _digits(column: str) -> str:
    return f"lower(hex({column}))" if _is_sqlite() else f"encode({column}, 'hex')"


def upgrade() -> None:
    """Apply."""
    if _is_sqlite():
        add_functions(op.get_bind().connection.dbapi_connection)
    op.create_table(
        "pack",
        sa.Column("number", COUNTED, nullable=False),
        sa.Column("key", TEXT(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_pack")),
        sa.UniqueConstraint("key", name=op.f("uq_pack_key")),
    )
    op.create_index(op.f("ix_pack_created_at"), "pack", ["created_at"])
    op.execute("INSERT INTO pack (key, created_at) SELECT pack, MIN(created_at) FROM result GROUP BY pack ORDER BY 2, 1")
    op.create_table(
        "sequence_list",
        sa.Column("number", COUNTED, nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_sequence_list")),
    )
    _add_lists()
    _children()
    _results()
    _leases_and_failures(HexBytes(), _raw)
    # Children that are parts and no more; the others stay jobs of their own.
    op.execute(
        "CREATE TEMPORARY TABLE part AS SELECT id FROM query_job WHERE attempts = 0 AND NOT pinned "
        f"AND EXISTS (SELECT 1 FROM child_job WHERE child_id = {_raw('query_job.id')}) "
        + "".join(
            f"AND NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.{column} = query_job.id) "
            for table, column in _REFERRING
        )
    )
    op.execute("DELETE FROM job_event WHERE job_id IN (SELECT id FROM part)")
    op.execute("DELETE FROM query_job WHERE id IN (SELECT id FROM part)")
    op.execute("DROP TABLE part")


_REFERRING = [
    ("link", "job_id"), ("report_job", "query_job_id"), ("share_grant", "job_id"), ("request_id", "job_id"),
    ("plugin_source", "source_id"), ("notice", "job_id"), ("run", "job_id"), ("batch_run", "job_id"),
]  # fmt: skip


def _add_lists() -> None:
    op.add_column("query_job", sa.Column("list_number", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_query_job_list_number"), "query_job", ["list_number"])
    op.execute(
        "CREATE TEMPORARY TABLE parent AS SELECT id, created_at, ROW_NUMBER() OVER (ORDER BY created_at, id) AS number "
        "FROM query_job WHERE id IN (SELECT parent_id FROM child_job)"
    )
    op.execute("CREATE INDEX parent_id ON parent (id)")
    op.execute("INSERT INTO sequence_list (number, created_at) SELECT number, created_at FROM parent ORDER BY number")
    if not _is_sqlite():
        op.execute("SELECT setval(pg_get_serial_sequence('sequence_list', 'number'), (SELECT COUNT(*) + 1 FROM parent), false)")
    op.execute("UPDATE query_job SET list_number = (SELECT number FROM parent WHERE parent.id = query_job.id)")
    op.execute("DROP TABLE parent")
    _retype_result_key("BLOB DEFAULT x''", "BYTEA", _raw)


def _retype_result_key(on_sqlite: str, on_postgresql: str, convert) -> None:
    """Change how query jobs name their results, in place: reports refer to the table."""
    if not _is_sqlite():
        using = f"USING {convert('result_key')}"
        op.execute(f"ALTER TABLE query_job ALTER COLUMN result_key TYPE {on_postgresql} {using}")
        return
    op.drop_index(op.f("ix_query_job_result_key"), "query_job")
    op.execute(f"ALTER TABLE query_job ADD COLUMN new_key {on_sqlite} NOT NULL")
    op.execute(f"UPDATE query_job SET new_key = {convert('result_key')}")
    op.execute("ALTER TABLE query_job DROP COLUMN result_key")
    op.execute("ALTER TABLE query_job RENAME COLUMN new_key TO result_key")
    op.create_index(op.f("ix_query_job_result_key"), "query_job", ["result_key"])


def _leases_and_failures(key: sa.types.TypeEngine, convert) -> None:
    """Write the keys of failures otherwise; nobody works with a database that is being changed, so no lease lasts."""
    op.drop_table("lease")
    op.create_table(
        "lease",
        sa.Column("key", key, nullable=False),
        sa.Column("holder", TEXT(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_holder"), "lease", ["holder"])
    op.rename_table("failure", "failure_before")
    if not _is_sqlite():
        op.execute("ALTER INDEX pk_failure RENAME TO pk_failure_before")
    op.create_table(
        "failure",
        sa.Column("key", key, nullable=False),
        sa.Column("failure_class", TEXT(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("batch_run", sa.Integer(), nullable=True),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_failure")),
    )
    columns = "failure_class, message, batch_run, at"
    op.execute(f"INSERT INTO failure (key, {columns}) SELECT {convert('key')}, {columns} FROM failure_before")
    op.drop_table("failure_before")


def _children() -> None:
    for name in ("child_id", "result_key"):
        op.drop_index(op.f(f"ix_child_job_{name}"), "child_job")
    op.rename_table("child_job", "child_job_before")
    if not _is_sqlite():  # the names of indexes are those of a schema there
        op.execute("ALTER INDEX pk_child_job RENAME TO pk_child_job_before")
    op.create_table(
        "child_job",
        sa.Column("list_number", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("child_id", HexBytes(), nullable=False),
        sa.Column("result_key", HexBytes(), nullable=False),
        sa.Column("query_offset", sa.BigInteger(), nullable=False),
        sa.Column("query_bytes", sa.BigInteger(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_number", "position", name=op.f("pk_child_job")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO child_job (list_number, position, child_id, result_key, query_offset, query_bytes, letters, title) "
        f"SELECT parent.list_number, was.position, {_raw('was.child_id')}, {_raw('was.result_key')}, was.query_offset, "
        "was.query_bytes, was.letters, COALESCE(child.title, '') FROM child_job_before AS was "
        "JOIN query_job AS parent ON parent.id = was.parent_id LEFT JOIN query_job AS child ON child.id = was.child_id "
        "ORDER BY parent.list_number, was.position"
    )
    op.drop_table("child_job_before")
    for name in ("child_id", "result_key"):
        op.create_index(op.f(f"ix_child_job_{name}"), "child_job", [name])


def _results() -> None:
    op.drop_index(op.f("ix_result_pack"), "result")
    op.rename_table("result", "result_before")
    if not _is_sqlite():
        op.execute("ALTER INDEX pk_result RENAME TO pk_result_before")
    op.create_table(
        "result",
        sa.Column("key", HexBytes(), nullable=False),
        sa.Column("pack_number", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("digest", HexBytes(), nullable=False),
        sa.Column("archive_bytes", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("best_hit", sa.Text(), nullable=False),
        sa.Column("evalue", sa.Float(), nullable=True),
        sa.Column("identity_percent", sa.Float(), nullable=True),
        sa.Column("coverage_percent", sa.Float(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_result")),
    )
    op.execute(
        'INSERT INTO result (key, pack_number, "offset", length, digest, archive_bytes, hits, best_hit, evalue, '
        f"identity_percent, coverage_percent, note) SELECT {_raw('was.key')}, pack.number, was.\"offset\", was.length, "
        f"{_raw('was.digest')}, was.archive_bytes, was.hits, was.best_hit, was.evalue, was.identity_percent, "
        "was.coverage_percent, was.note FROM result_before AS was JOIN pack ON pack.key = was.pack ORDER BY pack.number"
    )
    op.drop_table("result_before")
    op.create_index(op.f("ix_result_pack_number"), "result", ["pack_number"])


def downgrade() -> None:
    """Take back: children get rows again, without their own history; some numbers of results are not known any more."""
    _children_back()
    _results_back()
    _leases_and_failures(TEXT(length=32), _digits)
    op.drop_index(op.f("ix_query_job_list_number"), "query_job")
    op.execute("ALTER TABLE query_job DROP COLUMN list_number")
    for table in ("sequence_list", "pack"):
        op.drop_table(table)


def _children_back() -> None:
    _retype_result_key("VARCHAR(32) DEFAULT ''", "VARCHAR(32)", _digits)
    has_child = "site, program, recipe, status, reason, search_key, notes, cancel_requested, created_at, started_at, "
    has_child += "finished_at, used_at, query_key"
    of_parent = ", ".join(f"parent.{name.strip()}" for name in has_child.split(","))
    op.execute(
        f"INSERT INTO query_job (id, sequences, letters, title, query_offset, query_bytes, result_key, attempts, pinned, "
        f"expired_digest, {has_child}) SELECT {_digits('child.child_id')}, 1, child.letters, child.title, "
        f"child.query_offset, child.query_bytes, {_digits('child.result_key')}, 0, "
        f"{'0' if _is_sqlite() else 'false'}, '', {of_parent} FROM child_job AS child "
        "JOIN query_job AS parent ON parent.list_number = child.list_number WHERE parent.list_number IS NOT NULL "
        "ON CONFLICT DO NOTHING"
    )
    for name in ("child_id", "result_key"):
        op.drop_index(op.f(f"ix_child_job_{name}"), "child_job")
    op.rename_table("child_job", "child_job_before")
    if not _is_sqlite():
        op.execute("ALTER INDEX pk_child_job RENAME TO pk_child_job_before")
    op.create_table(
        "child_job",
        sa.Column("parent_id", TEXT(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("child_id", TEXT(length=32), nullable=False),
        sa.Column("result_key", TEXT(length=32), nullable=False),
        sa.Column("query_offset", sa.BigInteger(), nullable=False),
        sa.Column("query_bytes", sa.BigInteger(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("parent_id", "position", name=op.f("pk_child_job")),
    )
    op.execute(
        "INSERT INTO child_job (parent_id, position, child_id, result_key, query_offset, query_bytes, letters) "
        f"SELECT parent.id, was.position, {_digits('was.child_id')}, {_digits('was.result_key')}, was.query_offset, "
        "was.query_bytes, was.letters FROM child_job_before AS was "
        "JOIN query_job AS parent ON parent.list_number = was.list_number"
    )
    op.drop_table("child_job_before")
    for name in ("child_id", "result_key"):
        op.create_index(op.f(f"ix_child_job_{name}"), "child_job", [name])


def _results_back() -> None:
    op.drop_index(op.f("ix_result_pack_number"), "result")
    op.rename_table("result", "result_before")
    if not _is_sqlite():
        op.execute("ALTER INDEX pk_result RENAME TO pk_result_before")
    op.create_table(
        "result",
        sa.Column("key", TEXT(length=32), nullable=False),
        sa.Column("pack", TEXT(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("digest", TEXT(length=64), nullable=False),
        sa.Column("archive_bytes", sa.BigInteger(), nullable=False),
        sa.Column("query_length", sa.Integer(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("hsps", sa.Integer(), nullable=False),
        sa.Column("best_hit", sa.Text(), nullable=False),
        sa.Column("evalue", sa.Float(), nullable=True),
        sa.Column("bit_score", sa.Float(), nullable=True),
        sa.Column("identity_percent", sa.Float(), nullable=True),
        sa.Column("coverage_percent", sa.Float(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_result")),
    )
    op.execute(
        'INSERT INTO result (key, pack, "offset", length, digest, archive_bytes, query_length, hits, hsps, best_hit, '
        f"evalue, identity_percent, coverage_percent, note, created_at) SELECT {_digits('was.key')}, pack.key, "
        f"was.\"offset\", was.length, {_digits('was.digest')}, was.archive_bytes, 0, was.hits, was.hits, was.best_hit, "
        "was.evalue, was.identity_percent, was.coverage_percent, was.note, pack.created_at "
        "FROM result_before AS was JOIN pack ON pack.number = was.pack_number"
    )
    op.drop_table("result_before")
    op.create_index(op.f("ix_result_pack"), "result", ["pack"])
