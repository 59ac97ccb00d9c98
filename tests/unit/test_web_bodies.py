"""Bodies of requests: long fields are read as Python reads short ones."""

from __future__ import annotations

from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from web import bodies


@example("22%%22", 3)
@given(st.text("aF2%+ &\n€", max_size=60), st.integers(3, 9))
def test_field_is_unquoted_in_pieces_as_in_one(text: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "_PIECE", piece)
        assert bodies.unquoted(bytearray(text.encode())) == unquote_plus(text)
