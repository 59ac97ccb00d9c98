"""The keys of entries to register that fair-cli 0.11 takes: of releases, namespaces, what has no file, and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multiblast.errors import InvalidInputError
from multiblast.registry.model.rows import CodeRunRow, DataProductRow, ExternalObjectRow, NamespaceRow, ObjectRow
from multiblast.registry.runs.execution import plan_run, run
from multiblast.registry.sync.commands import commit, plan_pull, pull, push, register_alone
from multiblast.registry.sync.summary import ItemResult
from multiblast.registry.views.status import status, verify

TABLE = """\
register:
- {external_object: records/births, cache: t.csv, file_type: csv, version: 1.0.0, namespace_name: nrs, primary: true,
   namespace_full_name: National Records, namespace_website: "https://nrs.example.org/", title: Births,
   release_date: 2026-01-01, release_version: 2.1.0, identifier: "https://doi.org/10/x", source_name: NRS,
   product_name: b}
"""
DEPOSIT = """\
register:
- {external_object: records/deposit, no_file: true, version: 1.0.0, namespace_name: nrs, title: Deposit, primary: true,
   release_date: 2026-01-01, unique_name: deposit 7, alternate_identifier_type: local source descriptor, authors: Ann}
"""


@pytest.fixture
def table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2\n")


@pytest.mark.usefixtures("table")
def test_registry_register_takes_what_fair_cli_takes_of_a_release(here: Any, config: Callable[[str], Path]) -> None:
    path, user = config(TABLE), here.user()
    unread = ["register[0]: product_name, source_name is recorded nowhere"]
    assert register_alone(path, here, user, dry_run=True).notes == unread
    done = register_alone(path, here, user)
    assert ([(o.item, o.result) for o in done.outcomes], done.notes) == (
        [("nrs:records/births@1.0.0", ItemResult.DONE)],
        unread,
    )
    spaces = {row.name: row for row in here.since(NamespaceRow, 0)}
    assert (spaces["nrs"].full_name, spaces["nrs"].website) == ("National Records", "https://nrs.example.org/")
    (source,) = here.since(ExternalObjectRow, 0)
    (product,) = here.since(DataProductRow, 0)
    assert (source.version, product.version) == ("2.1.0", "1.0.0")


@pytest.mark.usefixtures("table")
def test_registry_register_gives_a_source_the_version_of_its_product_if_no_other(
    here: Any, config: Callable[[str], Path]
) -> None:
    register_alone(config(TABLE.replace(" release_version: 2.1.0,", "")), here, here.user())
    assert [source.version for source in here.since(ExternalObjectRow, 0)] == ["1.0.0"]


@pytest.mark.usefixtures("table")
def test_registry_pull_takes_the_same_keys(here: Any, remote: Any, config: Callable[[str], Path]) -> None:
    path, user = config(TABLE), here.user()
    unread = ["register[0]: product_name, source_name is recorded nowhere"]
    assert plan_pull(path, here, remote.open(), user).notes == unread
    assert pull(path, here, remote.open(), user).notes == unread
    assert [row.name for row in here.since(DataProductRow, 0)] == ["records/births"]


def test_registry_registers_what_has_no_file_once(here: Any, config: Callable[[str], Path]) -> None:
    path, user = config(DEPOSIT), here.user()
    results = [register_alone(path, here, user, dry_run=dry).outcomes for dry in (True, False, True, False)]
    assert [(o.item, o.result) for (o,) in results] == [
        ("nrs:records/deposit@1.0.0", result)
        for result in (ItemResult.PLANNED, ItemResult.DONE, ItemResult.KNOWN, ItemResult.KNOWN)
    ]
    (item,) = here.since(ObjectRow, 0)
    assert (item.storage_location, item.file_type, len(item.authors)) == (None, None, 1)
    (source,) = here.since(ExternalObjectRow, 0)
    assert (source.alternate_identifier, source.original_store, source.version) == ("deposit 7", None, "1.0.0")
    for dry in (True, False):
        other = register_alone(config(DEPOSIT.replace("deposit 7", "deposit 8")), here, user, dry_run=dry).outcomes
        assert [o.result for o in other] == [ItemResult.CONFLICT]
    assert verify(here).outcomes == []


def test_registry_run_reads_what_has_no_file_elsewhere(
    here: Any, second: Any, remote: Any, config: Callable[[str], Path]
) -> None:
    """It is an input of the code run, nothing is looked for, and all of that goes to others and comes from them."""
    text = "run_metadata: {script: echo 1 > $FDP_DATA_STORE/rich/r/0.0.1.txt}\n"
    text += "write: [{data_product: r, file_type: txt}]\n"
    path, user = config(text + DEPOSIT), here.user()
    register_alone(path, here, user)
    assert [(o.result, o.reason) for o in plan_run(path, here, user).outcomes if o.item.startswith("nrs:")] == [
        (ItemResult.KNOWN, "read as records/deposit, which has no file")
    ]
    assert run(path, here, user).outputs == ("rich:r@0.0.1",)
    (made,) = here.since(CodeRunRow, 0)
    assert len(made.inputs) == 1
    commit(here, ["rich:r@0.0.1"])
    assert push(here, remote.open()).exit_code == 0
    read = "read:\n- {data_product: records/*, use: {namespace: nrs}}\n- {data_product: r, use: {namespace: rich}}\n"
    assert pull(config(read), second, remote.open(), second.user()).exit_code == 0
    assert second.contents()["external_object"] == here.contents()["external_object"]
    assert second.contents()["code_run"] == here.contents()["code_run"]
    assert {o.reason for o in status(second, remote.open()).outcomes} == {"synced"}
    assert run(config(read + text.replace("0.0.1", "0.0.2")), second, second.user()).outputs == ("rich:r@0.0.2",)


SLIPS = {
    "no_file: true": "only an external_object may have no_file",
    "external_object: x, no_file: true, file_type: csv, hash: ''": "it has no_file: leave out file_type, hash",
    "external_object: x, no_file: true, use: {cache: c}": "it has no_file: leave out use.cache",
    "external_object: x, no_file: true, version: '${{PATCH}}'": "it has no_file, .*: give its version, as in 1.0.0",
    "external_object: x, no_file: perhaps": "write true or false here",
    "external_object: x": "register\\[0\\].file_type.*this key is needed",
    "external_object: x, release_version: '2.1'": "'2.1' is no version: write three numbers, as in 2.1.0",
    "namespace_website: nrs": "'nrs' is no address: begin with https://",
    "namespace: nrs": "an entry is one thing, and namespace is another: write namespace_name",
    "author: Ann": "an entry is one thing, and author is another: make it an entry of its own",
    "athors: Ann": "the key athors is not known: write authors, or leave it out",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_registry_register_refuses_what_only_looks_like_a_key(
    here: Any, config: Callable[[str], Path], slip: str
) -> None:
    keys = {"data_product": "x", "title": "t", "release_date": "2026-01-01", "identifier": "https://doi.org/10/x"}
    if "file:" not in slip:
        keys["cache"] = "t.csv"
    if "no_file" not in slip and slip != "external_object: x":
        keys["file_type"] = "csv"
    if "version: '$" not in slip:
        keys["version"] = "1.0.0"
    given = ", ".join(f"{key}: {value!r}" for key, value in keys.items() if f"{key}:" not in slip.replace("no_", ""))
    with pytest.raises(InvalidInputError, match=SLIPS[slip]) as caught:
        register_alone(config(f"register: [{{{slip}, {given}}}]"), here, here.user())
    assert caught.value.problems[0].key.startswith("config.yaml: register[0]")


def test_registry_register_says_which_namespace_or_author_cannot_be_and_goes_on(
    here: Any, config: Callable[[str], Path]
) -> None:
    text = "register: [{namespace: a, full_name: A}, {namespace: b, full_name: A}, {namespace: a/b}, {author: 'Ann*'}, "
    done = register_alone(config(text + "{namespace: c}]"), here, here.user())
    assert [(o.item, o.result) for o in done.outcomes] == [
        ("namespace b", ItemResult.CONFLICT), ("namespace a/b", ItemResult.FAILED), ("author Ann*", ItemResult.FAILED),
    ]  # fmt: skip
    assert "give 'b' another one" in done.outcomes[0].reason
    assert {row.name for row in here.since(NamespaceRow, 0)} >= {"a", "c"}
