"""Rows as registries exchange them: one class per kind, by which what another registry sends is checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from multiblast.errors import StoreError
from multiblast.registry.model.kinds import KINDS
from multiblast.registry.model.rows import ROWS, CodeRunRow, DataProductRow, ExternalObjectRow, Row
from multiblast.registry.remotes.answers import parse_row

API = "https://example.org/api/"
EXTERNAL = f"{API}external_object/1/"
PRODUCT = {
    "url": f"{API}data_product/1/", "name": "n", "version": "1.0.0", "namespace": f"{API}namespace/1/",
    "object": f"{API}object/1/",
}  # fmt: skip
UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
RUN = {
    "reference": "1", "run_date": "2026-01-01T00:00:00", "description": "d", "uuid": UUID, "model_config": "2",
    "submission_script": "3", "inputs": ["4"], "outputs": ["5"],
}  # fmt: skip
SENT_RUN = {
    **RUN, "url": f"{API}code_run/1/", "model_config": None, "submission_script": f"{API}object/3/", "inputs": [],
    "outputs": [],
}  # fmt: skip


def test_registry_row_of_each_kind_has_the_fields_of_its_table() -> None:
    assert set(ROWS) == set(KINDS)
    for name, row in ROWS.items():
        fields = {field.alias or python for python, field in row.model_fields.items()}
        assert fields - {"reference", "details"} == set(KINDS[name].fields), name


def test_registry_row_keeps_its_fields_under_their_names_in_the_api() -> None:
    run = CodeRunRow.model_validate(RUN)
    assert (run.fields["model_config"], run.run_config) == ("2", "2")
    assert run.run_date == datetime(2026, 1, 1, tzinfo=UTC)  # without a zone it is UTC
    assert set(run.targets()) == {
        ("object", "2"),
        ("object", "3"),
        ("object_component", "4"),
        ("object_component", "5"),
    }


@pytest.mark.parametrize(
    ("kind", "item", "wrong"),
    [
        (DataProductRow, None, "no record"),
        (DataProductRow, ["a"], "no record"),
        (DataProductRow, {"name": "n"}, "no reference"),
        (DataProductRow, {**PRODUCT, "version": None}, "version"),
        (DataProductRow, {**PRODUCT, "object": None}, "object"),
        (DataProductRow, {**PRODUCT, "object": PRODUCT["namespace"]}, "no reference to a object"),
        (CodeRunRow, {**SENT_RUN, "run_date": "yesterday"}, "run_date"),
        (CodeRunRow, {**SENT_RUN, "inputs": 4}, "no list"),
        (
            ExternalObjectRow,
            {"url": f"{API}external_object/1/", "data_product": PRODUCT["url"], "title": "t"},
            "release_date",
        ),
    ],
)
def test_registry_row_that_is_none_is_refused_where_it_comes_in(kind: type[Row], item: Any, wrong: str) -> None:
    with pytest.raises(StoreError, match=wrong) as caught:
        parse_row(kind, item, "https://example.org/api/")
    assert "https://example.org/" in str(caught.value)
    assert kind.kind in str(caught.value)
