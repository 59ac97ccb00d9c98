"""The text form: strings, titles and names in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiblast.archive.text import decode_string, encode_string, query_id, rename_query, title_of


@given(st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"])))
def test_string_survives_being_written_and_read(text: str) -> None:
    assert decode_string(encode_string(text)) == text


def test_string_broken_over_lines_is_read_whole() -> None:
    assert decode_string(b'"one ""two"" thr\nee"') == 'one "two" three'


@pytest.mark.parametrize(
    ("defline", "title"),
    [
        (b"a title", b"a title"),
        (b"  both ends  ", b"both ends"),
        (b"tab\tafter", b"tab"),
        (b"first\x01second", b"first"),
        (b"", b""),
        ("naïve", "naïve".encode()),
    ],
)
def test_title_ends_where_blast_ends_it(defline: str | bytes, title: bytes) -> None:
    assert title_of(defline) == title


def test_renaming_leaves_a_subject_of_the_same_name() -> None:
    alignment = (
        b'\n        segs denseg {\n          ids {\n            local str "Query_1",\n            local str "Query_1"\n'
    )
    assert rename_query(alignment, query_id(1), query_id(30)) == alignment.replace(b'"Query_1",', b'"Query_30",')


def test_renaming_does_not_take_a_longer_number_for_a_shorter() -> None:
    alignment = b'\n        segs denseg {\n          ids {\n            local str "Query_12",\n'
    assert rename_query(alignment, query_id(1), query_id(9)) == alignment
