"""Alignments of a result as numbers, and what is refused since it may mean something else."""

from __future__ import annotations

import pytest

from multiblast.archive.alignments import UnknownFormError, read_alignments

_ARCHIVE = b"""  results {
    alignments {
      {
        type partial,
        dim 2,
        score {
          {
            id str "score",
            value int 50
          },
          {
            id str "e_value",
            value real { 25, 10, -3 }
          },
          {
            id str "bit_score",
            value real { 93, 10, 0 }
          },
          {
            id str "num_ident",
            value int 30
          }
        },
        segs denseg {
          dim 2,
          numseg 3,
          ids {
            local str "Query_1",
            local str "name"
          },
          starts {
            0,
            70,
            10,
            -1,
            12,
            50
          },
          lens {
            10,
            2,
            20
          },
          strands {
            plus,
            minus,
            plus,
            minus,
            plus,
            minus
          }
        }
      }
    },
    masks {
"""


def test_positions_are_of_whole_alignments_and_gaps_are_counted() -> None:
    (found,) = read_alignments(_ARCHIVE)
    assert found == (b'localstr"name"', b"50", b"25,10,-3", b"93,10,0", 30, 32, 2, 1, 1, 32, 80, 51)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name"', b'"na me"'),
        (b'"name"', b'"na\nme"'),
        (b"            0,\n            70,", b"            -1,\n            70,"),
        (b"segs denseg", b"segs dendiag"),
        (b"type partial", b"type global"),
    ],
)
def test_other_forms_are_refused(old: bytes, new: bytes) -> None:
    """An id with a space in it, for one, since spaces are not looked at."""
    with pytest.raises(UnknownFormError):
        read_alignments(_ARCHIVE.replace(old, new))
