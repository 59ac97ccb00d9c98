"""The local registry's own REST API: what it gives, takes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiblast.errors import MultiblastError
from multiblast.registry.api.fields import API_KINDS
from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.model.rows import ROWS, CodeRunRow, DataProductRow
from multiblast.registry.remotes.rest import RestRegistry
from tests.support.language_clients import Run
from web.registry.serving import serving


@pytest.fixture
def api(here: Any) -> Iterator[Run]:
    """The API, served."""
    made = LocalApi(here, here.user())
    with serving(made) as address, closing(Run(address, made.token, here.directory)) as script:
        yield script


def test_registry_api_answers_our_own_client_as_the_registry_itself(here: Any, api: Run) -> None:
    """Every row of every kind, with all its fields; references are URLs."""
    first = here.product("params/a", "one", authors=[here.author("Ann", "https://orcid.org/ann")])
    last = here.product("results/b", "two", "1.0.0+b.7")
    here.describe(first)
    here.run([first], [last])
    end = RestRegistry(api.api)
    try:
        for kind, row in ROWS.items():
            served = sorted(end.since(row, 0), key=lambda one: int(one.reference.split("/")[-2]))
            plain = here.since(row, 0)
            assert len(plain) == len(served)
            for mine, theirs in zip(plain, served, strict=True):
                assert numbers(theirs.fields) == numbers(mine.fields), kind
        assert [row.name for row in end.products("rich", ["results/*"])] == ["results/b"]
        assert end.find(
            DataProductRow, [{"namespace": f"{api.api}namespace/1/", "name": "results/b", "version": "1.0.0+b.7"}]
        )[0]
    finally:
        end.close()


def numbers(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with the numbers of rows in place of their URLs."""

    def number(value: Any) -> Any:
        if isinstance(value, list):
            return [number(one) for one in value]
        return value.rstrip("/").rpartition("/")[2] if isinstance(value, str) and "/api/" in value else value

    return {name: number(value) for name, value in fields.items()}


def test_registry_api_gives_pages(here: Any, api: Run) -> None:
    for name in range(7):
        here.product(f"p/{name}", f"{name}")
    address, seen = f"{api.api}data_product/?page_size=3&namespace=1", []
    while address:
        page = api.ask("GET", address)
        assert page["count"] == 7
        seen += [row["name"] for row in page["results"]]
        address = page["next"]
    assert seen == [f"p/{name}" for name in reversed(range(7))]


REFUSED: dict[str, tuple[int, str, dict[str, Any], str]] = {
    "POST namespace/": (400, "name", {}, "This field is required."),
    "POST namespace": (400, "name", {"name": ""}, "This field may not be blank."),
    "POST namespace/ ": (400, "name", {"name": "../x"}, "is no name"),
    "POST namespace/  ": (400, "name", {"name": "a*"}, "which names must not have"),
    "POST namespace/   ": (409, "detail", {"name": "rich"}, "must be unique"),
    "POST namespace/    ": (400, "website", {"name": "w", "website": "x"}, "valid URL"),
    "POST users/": (403, "detail", {"username": "x"}, "registry config"),
    "POST nothing/": (404, "detail", {}, "nothing"),
    "POST data_product/": (400, "version", {"version": "1"}, "not a valid semantic version"),
    "POST data_product/ ": (400, "object", {"object": "http://x/api/issue/1/"}, "is no object of this registry"),
    "POST code_run/": (400, "submission_script", {"run_date": "2026-01-01", "description": "x",
                       "submission_script": 99}, "there is no object 99"),
    "POST code_run/ ": (400, "run_date", {"run_date": "now"}, "not a valid datetime"),
    "POST code_run/  ": (400, "inputs", {"inputs": 5}, "Expected a list"),
    "POST storage_location/": (400, "hash", {"path": "x", "hash": "", "storage_root": 1}, "There is no commit"),
    "POST storage_location/ ": (400, "path", {"path": "gone", "hash": "0" * 40, "storage_root": 1}, "There is no file"),
    "POST storage_location/  ": (400, "hash", {"path": "../content", "hash": "0" * 40, "storage_root": 1},
                               "should be 000"),
    "POST storage_location/   ": (400, "public", {"public": "perhaps"}, "not a valid boolean"),
    "POST issue/": (400, "severity", {"severity": -1, "description": "x"}, "not a valid integer"),
    "PATCH object/1/": (403, "detail", {"description": "x"}, "stays as it is"),
    "PATCH code_run/1/": (400, "description", {"description": "x"}, "cannot be changed"),
    "PATCH code_run/77/": (404, "detail", {"inputs": []}, "77"),
    "PATCH code_run/1": (400, "outputs", {"outputs": ["http://x/api/object_component/99/"]}, "no object_component 99"),
    "DELETE object/1/": (403, "detail", {}, "registry delete"),
    "GET object/99/": (404, "detail", {}, "99"),
    "GET object/99999999999999999999/": (404, "detail", {}, "number"),
    "GET object/?colour=red": (400, "colour", {}, "Invalid query argument"),
    "GET object/?storage_location=x": (400, "storage_location", {}, "is no storage_location"),
    "GET object/?page_size=many": (400, "page_size", {}, "whole number"),
    "GET object/?cursor=-1": (400, "cursor", {}, "whole number"),
    "GET code_run/?run_date=x": (400, "run_date", {}, "not a valid datetime"),
}  # fmt: skip


def test_registry_api_refuses_what_is_wrong_in_plain_words(here: Any, api: Run) -> None:
    here.run([here.product("p", "p")], [])
    before = here.contents()
    for line, (code, key, body, words) in REFUSED.items():
        method, _, path = line.strip().partition(" ")
        answer = api.client.request(method, f"{api.api}{path}", json=body, headers=api.token_header)
        assert answer.status_code == code, (line, body, answer.text)
        assert words in str(answer.json()[key]), (line, body, answer.text)
    assert here.contents() == before


def test_registry_api_changes_nothing_for_others(here: Any, api: Run) -> None:
    right = api.token_header["Authorization"]
    refused: list[tuple[dict[str, str], int]] = [
        ({}, 403),
        ({"Authorization": f"token {'0' * 40}"}, 403),
        ({"Authorization": "token \u00e9"}, 403),
        ({"Authorization": f"Bearer {api.token}"}, 403),
        ({"Accept": "application/json; version=2.0.0", "Authorization": right}, 406),
        ({"Host": "evil.example.org", "Authorization": right}, 400),
        ({"Origin": "https://evil.example.org", "Authorization": right}, 403),
    ]
    for headers, code in refused:
        sent = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = api.client.post(f"{api.api}namespace/", json={"name": "new"}, headers=sent)
        assert answer.status_code == code, headers
    assert here.products("new", ["*"]) == []
    assert api.ask("GET", f"{api.api}namespace/?name=new")["count"] == 0


def test_registry_api_takes_no_json_for_what_it_is_not(api: Run) -> None:
    for content in (b"{", b"[]", b"\xff", b'{"name": NaN}'):
        assert api.client.post(f"{api.api}namespace/", content=content, headers=api.token_header).status_code == 400


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(
        ["http://127.0.0.1:8000/api/object/1/", "1", "../..", "file:///", "/" + "x" * 5000, "*", "1.0.0"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "x"]), inner, max_size=2),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.data())
def test_registry_api_takes_or_refuses_whatever_is_sent(filled: LocalApi, data: st.DataObject) -> None:
    kind = API_KINDS[data.draw(st.sampled_from(list(API_KINDS)))]
    names = st.sampled_from([*kind.fields, "page_size", "cursor", "issues"])
    body = data.draw(st.dictionaries(names, VALUES))
    query = [(name, str(value)) for name, value in body.items()]
    base, number = "http://127.0.0.1:8000/api/", data.draw(st.integers(0, 2**63 - 1) | st.just(1))
    requests: list[Callable[[], Any]] = [
        lambda: filled.create(kind.name, body, base),
        lambda: filled.rows(kind.name, query, base),
        lambda: filled.row(kind.name, number, base),
        lambda: filled.change(kind.name, number, body, base),
        lambda: filled.remove(kind.name, number),
    ]
    for request in requests:
        with suppress(MultiblastError):
            json.dumps(request())


@pytest.fixture
def filled(here: Any) -> LocalApi:
    """The API of a registry with something of each kind in it."""
    first = here.product("params/a", "one")
    here.describe(first)
    here.run([first], [])
    return LocalApi(here, here.user())


def test_registry_api_changes_no_code_run_that_others_have(here: Any, api: Run, remote: Any) -> None:
    from multiblast.registry.sync.commands import push

    number = here.run([here.product("params/a", "one")], [here.product("results/b", "two")])
    here.commit("code_run", number)
    assert push(here, remote.open()).exit_code == 0
    for method, body in (("PATCH", {"inputs": []}), ("DELETE", {})):
        answer = api.client.request(method, f"{api.api}code_run/{number}/", json=body, headers=api.token_header)
        assert (answer.status_code, "stays as it is" in answer.text) == (409, True)
    assert len(here.since(CodeRunRow, 0)[0].inputs) == 1
