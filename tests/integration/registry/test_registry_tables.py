"""The data model with all its constraints, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from multiblast.registry.local.registry import Registry, open_database
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.rows import ROWS, ObjectComponentRow
from multiblast.registry.model.tables import RegistryTable
from multiblast.registry.remotes.public_view import PublicView
from multiblast.registry.sync.push import Push
from multiblast.stores import LocalStore, MemoryStore

_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str]) -> Iterator[Registry]:
    made = Registry(open_database(new_database(request.param)), LocalStore(tmp_path / "store"), tmp_path)
    yield made
    made.close()


def fill(registry: Registry) -> dict[str, str]:
    """Make one row of the kinds that others need."""
    made: dict[str, str] = {}
    for kind, fields in (
        ("namespace", {"name": "n", "full_name": "N"}),
        ("storage_root", {"root": "https://example.org/"}),
        ("storage_location", {"path": "p", "hash": "h", "public": True, "storage_root": "@storage_root"}),
        ("file_type", {"name": "csv", "extension": "csv"}),
        ("author", {"name": "A", "identifier": "https://orcid.org/1"}),
        ("object", {"storage_location": "@storage_location", "authors": ["@author"], "uuid": str(uuid4())}),
        ("data_product", {"name": "x/y", "version": "1.0.0", "namespace": "@namespace", "object": "@object"}),
        ("code_repo_release", {"name": "r", "version": "1.0.0", "object": "@object"}),
        ("keyword", {"keyphrase": "k", "object": "@object", "identifier": "https://example.org/k"}),
        ("key_value", {"key": "k", "value": "v", "object": "@object"}),
        ("quality_controlled", {"object": "@object", "document": "@object"}),
    ):
        (created,) = registry.create(kind, [_referring(fields, made)])
        assert created.row is not None, created.error
        made[kind] = created.row.reference
    return made


def _referring(fields: dict[str, Any], made: dict[str, str]) -> dict[str, Any]:
    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        return made[value[1:]] if isinstance(value, str) and value.startswith("@") else value

    return {name: one(value) for name, value in fields.items()}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("namespace", {"name": "m", "full_name": "N"}),
        ("namespace", {"name": "m[1]"}),
        ("namespace", {"name": "m?"}),
        ("author", {}),
        ("author", {"name": "A*"}),
        ("data_product", {"name": "x]", "version": "1.0.0", "namespace": "@namespace", "object": "@object"}),
        ("data_product", {"name": "x", "version": "1.0", "namespace": "@namespace", "object": "@object"}),
        ("data_product", {"name": "x", "version": "1.0.0", "namespace": "@namespace", "object": "999"}),
        ("object_component", {"name": "a*", "object": "@object"}),
        ("keyword", {"keyphrase": "a?", "object": "@object"}),
        ("issue", {"severity": -1, "description": "x"}),
        ("external_object", {"data_product": "@data_product", "title": "T", "release_date": _NEW_YEAR}),
        (
            "external_object",
            {
                "data_product": "@data_product",
                "title": "T",
                "release_date": _NEW_YEAR,
                "identifier": "https://doi.org/1",
                "alternate_identifier": "x",
            },
        ),
        ("code_run", {"description": "d", "run_date": _NEW_YEAR}),
    ],
)
def test_registry_refuses(registry: Registry, kind: str, fields: dict[str, Any]) -> None:
    (created,) = registry.create(kind, [_referring(fields, fill(registry))])
    assert created.row is None
    assert kind in str(created.error)


def test_registry_finds_what_exists_instead_of_making_it_twice(registry: Registry) -> None:
    assert fill(registry) == fill_again(registry)


def fill_again(registry: Registry) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in ("namespace", "storage_root", "storage_location", "file_type", "author", "object", "data_product",
                 "code_repo_release", "keyword", "key_value", "quality_controlled"):  # fmt: skip
        (row,) = registry.since(ROWS[kind], 0)
        (created,) = registry.create(kind, [row.fields])
        assert created.row is not None
        assert not created.new
        found[kind] = created.row.reference
    return found


def test_registry_gives_every_object_its_whole(registry: Registry) -> None:
    fill(registry)
    (whole,) = registry.since(ObjectComponentRow, 0)
    assert (whole.name, whole.whole_object) == ("whole_object", True)


def test_registry_gives_authors_the_uuid_of_every_fair_registry(registry: Registry) -> None:
    fill(registry)
    (created,) = registry.create("author", [{"identifier": "https://orcid.org/0000-0000-0000-0001"}])
    assert created.row is not None
    assert created.row.uuid == "ee282dff-684b-b065-1c3b-59f4a2e11438"


def test_registry_transaction_is_whole_or_nothing(registry: Registry) -> None:
    def stop_in_the_middle() -> None:
        with registry.transaction():
            registry.create("namespace", [{"name": "half"}])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert registry.newest("namespace") == 0


def test_registry_migrations_make_the_tables(registry: Registry) -> None:
    with registry.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": RegistryTable.metadata})
        assert compare_metadata(context, RegistryTable.metadata) == []


def test_registry_patterns_take_no_letter_for_another(registry: Registry) -> None:
    made = fill(registry)
    for name in ("a_b", "aXb", "a%b"):
        fields = {"name": name, "version": "1.0.0", "namespace": made["namespace"], "object": made["object"]}
        registry.create("data_product", [fields])
    assert [row.name for row in registry.products("n", ["a_b"])] == ["a_b"]
    assert [row.name for row in registry.products("n", ["a%*"])] == ["a%b"]


def test_registry_pushes_to_another_over_any_store(here: Any, registry: Registry, tmp_path: Path) -> None:
    here.commit("object", here.product("params/a", "content").object_id)
    other = Registry(registry.database, MemoryStore(), tmp_path)
    assert Push(here, PublicView(other)).run().exit_code == 0
    with other.files.open(here.product("params/a", "content").sha1) as file:
        assert file.read() == b"content"


def test_registry_kinds_come_after_what_they_need() -> None:
    order = list(KINDS)
    for kind in KINDS.values():
        needs = {*kind.references.values(), *(listed.kind for listed in kind.lists.values())}
        assert all(order.index(need) < order.index(kind.name) for need in needs)
