"""First schema."""

import sqlalchemy as sa
from alembic import op

from multiblast.database.tables import UtcDateTime

revision = 'registry1'
down_revision = None

# The tables stand here once more, and are not those of `multiblast.registry.model`: those change with later revisions.
_metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _numbered(name: str, *items: sa.schema.SchemaItem) -> None:
    """Define a table whose rows have a number."""
    number = sa.Column("id", sa.Integer(), primary_key=True)
    sa.Table(name, _metadata, number, _time("last_updated"), *items)


def _linking(name: str, *tables: str) -> None:
    """Define a many-to-many table."""
    keys = [
        sa.Column(f"{table}_id", sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), primary_key=True, index=True)
        for table in tables
    ]
    sa.Table(name, _metadata, *keys)


def _name(column: str, length: int | None = None, **options: bool) -> sa.Column[str]:
    return sa.Column(column, sa.String(length), **{"nullable": False, **options})


def _text(column: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=nullable)


def _flag(column: str) -> sa.Column[bool]:
    return sa.Column(column, sa.Boolean(), nullable=False)


def _time(column: str) -> sa.Column:
    return sa.Column(column, UtcDateTime(timezone=True), nullable=False)


def _reference(column: str, table: str, *, nullable: bool = False, unique: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey(f"{table}.id", ondelete="RESTRICT")
    return sa.Column(column, key, nullable=nullable, unique=unique, index=not unique)


def _no_wildcards(column: str) -> sa.CheckConstraint:
    condition = f"replace(replace(replace(replace({column}, '[', ''), ']', ''), '?', ''), '*', '') = {column}"
    return sa.CheckConstraint(condition, name=column)


_numbered(
    "author",
    _name("name", nullable=True),
    _name("identifier", nullable=True, unique=True),
    _name("uuid", 36, unique=True),
    _no_wildcards("name"),
    sa.CheckConstraint("name IS NOT NULL OR identifier IS NOT NULL", name="name_or_identifier"),
)
_numbered("file_type", _name("name"), _name("extension"), sa.UniqueConstraint("name", "extension"))
_numbered(
    "issue",
    sa.Column("severity", sa.Integer(), nullable=False),
    _text("description"),
    _name("uuid", 36, unique=True),
    sa.CheckConstraint("severity >= 0", name="severity"),
)
_numbered(
    "namespace",
    _name("name", unique=True),
    _name("full_name", nullable=True, unique=True),
    _name("website", nullable=True),
    _no_wildcards("name"),
)
sa.Table(
    "remote_copy",
    _metadata,
    _name("remote", primary_key=True),
    _name("kind", primary_key=True),
    sa.Column("row_id", sa.Integer(), primary_key=True),
    _name("reference", index=True),
)
sa.Table(
    "remote_mark",
    _metadata,
    _name("remote", primary_key=True),
    _name("kind", primary_key=True),
    sa.Column("newest", sa.BigInteger(), nullable=False),
)
_numbered("remote_registry", _name("name", unique=True), _text("url"), _text("store"))
sa.Table(
    "staged",
    _metadata,
    _name("kind", primary_key=True),
    sa.Column("row_id", sa.Integer(), primary_key=True),
    _time("at"),
)
_numbered("storage_root", _name("root", unique=True), _flag("local"))
sa.Table(
    "stored_file",
    _metadata,
    _name("sha1", 40, primary_key=True),
    _name("sha256", 64, unique=True),
    sa.Column("size_bytes", sa.BigInteger(), nullable=False),
    _time("stored_at"),
)
_numbered("user", _name("username", unique=True), _name("namespace"), _text("data_store"), _name("remote"))
_numbered(
    "storage_location",
    _text("path"),
    _name("hash", index=True),
    _flag("public"),
    _reference("storage_root_id", "storage_root"),
    sa.UniqueConstraint("storage_root_id", "hash", "public"),
)
_numbered("user_author", _reference("user_id", "user", unique=True), _reference("author_id", "author"))
_numbered(
    "object",
    _text("description", nullable=True),
    _name("uuid", 36, unique=True),
    _reference("storage_location_id", "storage_location", nullable=True),
    _reference("file_type_id", "file_type", nullable=True),
)
_numbered(
    "code_repo_release",
    _name("name"),
    _name("version"),
    _name("website", nullable=True),
    _reference("object_id", "object", unique=True),
    _no_wildcards("name"),
    sa.UniqueConstraint("name", "version"),
)
_numbered(
    "code_run",
    _time("run_date"),
    _text("description"),
    _name("uuid", 36, unique=True),
    _reference("code_repo_id", "object", nullable=True),
    _reference("model_config_id", "object", nullable=True),
    _reference("submission_script_id", "object"),
)
_numbered(
    "data_product",
    _name("name"),
    _name("version"),
    _reference("namespace_id", "namespace"),
    _reference("object_id", "object"),
    _no_wildcards("name"),
    sa.UniqueConstraint("namespace_id", "name", "version"),
)
_numbered(
    "key_value", _name("key"), _text("value"), _reference("object_id", "object"),
    sa.UniqueConstraint("object_id", "key"),
)
_numbered(
    "keyword",
    _name("keyphrase"),
    _name("identifier", nullable=True, unique=True),
    _reference("object_id", "object"),
    _no_wildcards("keyphrase"),
    sa.UniqueConstraint("object_id", "keyphrase"),
)
_numbered(
    "licence", _text("licence_info"), _name("identifier", nullable=True, unique=True), _reference("object_id", "object")
)
_numbered(
    "object_component",
    _name("name"),
    _text("description", nullable=True),
    _flag("whole_object"),
    _reference("object_id", "object"),
    _no_wildcards("name"),
    sa.UniqueConstraint("object_id", "name"),
)
_numbered(
    "quality_controlled", _reference("object_id", "object", unique=True), _reference("document_id", "object")
)
_numbered(
    "external_object",
    _name("identifier", nullable=True),
    _name("alternate_identifier", nullable=True),
    _name("alternate_identifier_type", nullable=True),
    _name("title"),
    _time("release_date"),
    _flag("primary_not_supplement"),
    _text("description", nullable=True),
    _name("version"),
    _reference("data_product_id", "data_product", unique=True),
    _reference("original_store_id", "storage_location", nullable=True),
    sa.CheckConstraint(
        "(identifier IS NOT NULL OR alternate_identifier IS NOT NULL)"
        " AND (alternate_identifier IS NULL) = (alternate_identifier_type IS NULL)",
        name="identifier",
    ),
    sa.UniqueConstraint("identifier", "alternate_identifier", "alternate_identifier_type", "title", "version"),
)
_linking("object_author", "object", "author")
_linking("code_run_input", "code_run", "object_component")
_linking("code_run_output", "code_run", "object_component")
_linking("component_issue", "issue", "object_component")


def upgrade() -> None:
    """Apply."""
    _metadata.create_all(op.get_bind(), checkfirst=False)


def downgrade() -> None:
    """Take back."""
    _metadata.drop_all(op.get_bind(), checkfirst=False)
