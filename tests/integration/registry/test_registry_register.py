"""Data products that a configuration registers, from beside it and from the web."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from multiblast.registry.model.rows import ExternalObjectRow
from multiblast.registry.runs.execution import generate
from multiblast.registry.sync.collection import delete
from multiblast.registry.sync.commands import plan_pull, pull, push
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.info import info

REGISTER = """\
register:
- {namespace: who, full_name: World Health, website: "https://who.int"}
- {author: Ann, identifier: "https://orcid.org/ann"}
- {data_product: tables/t, root: "ROOT", path: t.csv, file_type: csv, version: "${{PATCH}}", namespace_name: who,
   authors: [Ann], hash: "HASH"}
- {external_object: papers/p, cache: "ROOT/t.csv", file_type: csv, version: 1.0.0, namespace_name: who, title: A paper,
   release_date: 2026-01-01, primary: false, identifier: "https://doi.org/10/x"}
"""


def registering(here: Any, config: Callable[[str], Path], tmp_path: Path, content: str, sha: str = "") -> Any:
    from multiblast.registry.config.document import Document
    from multiblast.registry.config.schema import parse_config
    from multiblast.registry.sync.registration import register

    (tmp_path / "t.csv").write_text(content)
    text = REGISTER.replace("ROOT", str(tmp_path)).replace("HASH", sha)
    from multiblast.registry.config.document import read_document

    document: Document = read_document(config(text))
    return register(here, parse_config(document.data, document))


def test_registry_register_keeps_a_patch_while_the_file_is_unchanged(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    results = [registering(here, config, tmp_path, content)[0] for content in ("a", "a", "b")]
    assert [(o.item, o.result) for o in results] == [
        ("who:tables/t@0.0.1", ItemResult.DONE),
        ("who:tables/t@0.0.1", ItemResult.KNOWN),
        ("who:tables/t@0.0.2", ItemResult.DONE),
    ]


def test_registry_register_refuses_another_digest_and_goes_on(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    results = registering(here, config, tmp_path, "a", "0" * 40)
    assert [o.result for o in results] == [ItemResult.FAILED, ItemResult.DONE]
    assert "not the file" in results[0].reason


def test_registry_register_same_version_with_other_bytes_is_a_conflict(
    here: Any, config: Callable[[str], Path], tmp_path: Path
) -> None:
    registering(here, config, tmp_path, "a")
    assert registering(here, config, tmp_path, "b")[1].result == ItemResult.CONFLICT


def test_registry_register_records_what_it_is_of(here: Any, config: Callable[[str], Path], tmp_path: Path) -> None:
    registering(here, config, tmp_path, "a")
    (paper,) = here.since(ExternalObjectRow, 0)
    assert (paper.title, paper.release_date) == ("A paper", datetime(2026, 1, 1, tzinfo=UTC))
    assert paper.primary_not_supplement is False


@pytest.mark.parametrize("where", ["root: sub, path: t.csv", "cache: sub/t.csv"])
def test_registry_pull_registers_what_lies_beside_the_configuration(
    here: Any, remote: Any, config: Callable[[str], Path], where: str
) -> None:
    path = config(f"register: [{{data_product: tables/t, {where}, file_type: csv, version: 1.0.0}}]")
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "t.csv").write_text("beside")
    assert [o.result for o in pull(path, here, remote.open(), here.user()).outcomes] == [ItemResult.DONE]
    assert info(here, "rich:tables/t@1.0.0")[0]["size_bytes"] == 6


def test_registry_pull_uses_a_copy_that_is_here(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """A plan only asks for its length; nothing is downloaded."""
    here.commit("object", here.product("params/a", "content").object_id)
    push(here, remote.open())
    path = config("read: [{data_product: params/a, use: {namespace: rich, cache: copy.csv}}]")
    user = second.user()
    assert "no file" in pull(path, second, remote.open(), user).outcomes[0].reason
    delete(second, "rich:params/a@1.0.0", [], force=True)
    (path.parent / "copy.csv").write_text("content")
    remote.control(forget=True)
    plan_pull(path, second, remote.open(), user)
    assert list(second.files.store.list("files/")) == []
    assert pull(path, second, remote.open(), user).exit_code == 0
    assert [line for line in remote.log if line.startswith("GET /data/")] == [
        "GET /data/" + here.product("params/a", "content").sha1
    ]


def test_registry_pull_registers_from_the_web(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    one = here.product("params/a", "web")
    here.commit("object", one.object_id)
    push(here, remote.open())
    text = f"register: [{{data_product: from/web, root: '{remote.url}/data/', path: {one.sha1}, file_type: txt}}]"
    user = second.user()
    report = pull(config(text), second, remote.open(), user)
    assert [(o.item, o.result) for o in report.outcomes] == [("rich:from/web@0.0.1", ItemResult.DONE)]
    made = generate(config(text), second.directory / "working.yaml", second, user)
    assert [str(one.name) for one in made.inputs] == ["rich:from/web@0.0.1"]
