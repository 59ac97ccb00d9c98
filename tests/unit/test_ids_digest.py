"""Ids: equal exactly for equal values of the same type, and the same for ever."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.ids import digest, digest_of_text, digests, is_id

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def _typed(value: Any) -> Any:
    """A form in which values are equal only if their types are."""
    if isinstance(value, dict):
        return "dict", {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return "list", [_typed(item) for item in value]
    return type(value).__name__, repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "edbd13bb12ca4074843f896d70eac614"),
        (True, "68888e52a3eac332e72d6d706910906f"),
        (1, "1a7bcac033c11018faf5e873ce717885"),
        (1.0, "646023a6e9191658dada0275a2e22ef1"),
        ("1", "044fa5d879e4d401a8ee03cea4674edf"),
        (b"1", "63bc6f1fc01d42fe4cdf6c7f4daf3eb9"),
        ([], "0e902dffed0fc175ccbf16f9281f9dcf"),
        ({}, "d311b584ef12c0b2b2c40bb53481e3c9"),
        ({"evalue": 1e-5, "task": "megablast", "targets": ["a", "ä"]}, "cff318d88ac819987e2c041f7f200b5c"),
    ],
)
def test_digest_is_pinned(value: Any, expected: str) -> None:
    """Ids are in databases and file names: whatever changes them needs a new tag."""
    assert digest("test/1", value) == expected


@given(_PLAIN, _PLAIN)
def test_digest_is_equal_for_equal_values_only(one: Any, other: Any) -> None:
    assert (digest("test/1", one) == digest("test/1", other)) == (_typed(one) == _typed(other))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_digest_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert digest("test/1", value) == digest("test/1", dict(reversed(value.items())))


@given(_PLAIN)
def test_digest_depends_on_the_tag(value: Any) -> None:
    assert digest("test/1", value) != digest("test/2", value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([["a"], "b"], [["a", "b"]]),
        ([1, 23], [12, 3]),
        ([], [[]]),
        ("", b""),
        ({"a": None}, {}),
        (0.0, -0.0),
        (0, False),
    ],
)
def test_digest_tells_neighbours_apart(one: Any, other: Any) -> None:
    assert digest("test/1", one) != digest("test/1", other)


def test_digest_takes_tuples_for_lists() -> None:
    assert digest("test/1", (1, 2)) == digest("test/1", [1, 2])


@pytest.mark.parametrize("value", [object(), {1, 2}, [object()], {"a": object()}])
def test_digest_refuses_what_is_no_plain_data(value: Any) -> None:
    with pytest.raises(TypeError, match="only plain data has an id"):
        digest("test/1", value)


@given(_PLAIN)
def test_digest_is_an_id(value: Any) -> None:
    assert is_id(digest("test/1", value))


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "\u0660" * 32, "a" * 31 + "\n"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("last", ["", "text", "ü", b"", b"bytes", b"x" * 5000])
def test_many_ids_with_one_head_are_those_made_one_by_one(last: str | bytes) -> None:
    assert digests("a/1")(last) == digest("a/1", last)
    assert digests("a/1", "head", 7, {"b": [None]})(last) == digest("a/1", ["head", 7, {"b": [None]}, last])


@given(st.text())
def test_digest_of_a_text_in_a_file_is_that_of_the_text(text: str) -> None:
    data = text.encode("utf-8", "replace")
    assert digest_of_text("comparison/1", BytesIO(data)) == digest("comparison/1", data.decode())
