"""The text form of BLAST+ archives: its fixed layout, its strings and the names of queries in it.

NCBI's ASN.1 text writer indents by two spaces a level and breaks strings at a
fixed width, so that a line made of spaces and braces is never part of a
string. Everything here relies on that layout and refuses anything else.
"""

from __future__ import annotations

import re

ARCHIVE_START = b"Blast4-archive ::= {\n"

# The query stands first among the ids of an alignment, and nowhere else does this line follow `ids {`.
QUERY_ID = re.compile(rb'ids \{\n +local str "Query_(\d+)"')

_CONTROL = re.compile(rb"[\x00-\x1f]")


def encode_string(value: str | bytes) -> bytes:
    """Return ``value`` as a quoted ASN.1 string, quotes doubled; bytes outside ASCII are kept as they are."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return b'"' + data.replace(b'"', b'""') + b'"'


def decode_string(literal: bytes) -> str:
    """Return the value of a quoted ASN.1 string, its line breaks taken out."""
    return literal[1:-1].replace(b"\n", b"").replace(b'""', b'"').decode("utf-8", "surrogateescape")


def title_of(defline: str | bytes) -> bytes:
    """Return what BLAST+ takes as a query's title from its defline: trimmed, up to the first control character."""
    data = defline.encode("utf-8", "surrogateescape") if isinstance(defline, str) else defline
    return _CONTROL.split(data, maxsplit=1)[0].strip(b" ")


def query_id(number: int) -> bytes:
    """Return the id that BLAST+ gives the query of this number (1-based)."""
    return b'local str "Query_%d"' % number


def dense_query(query: bytes) -> bytes:
    """Return how the ids of a gapped alignment that is not translated begin, and those of no other, with the query's.

    Two such alignments have one between them: what is cut there can be joined again with another query.
    """
    return b"ids {\n            %b,\n" % query


def rename_query(text: bytes, old: bytes, new: bytes) -> bytes:
    """Give a query another id in alignments and masks, and nothing else.

    A database made with ``-parse_seqids`` may hold a subject that is itself called ``Query_1``, so only the places
    where a query stands are touched: first among the ids of an alignment, and first of the two locations of a segment.
    """
    if old == new:
        return text
    dense = text.find(b"\n        segs denseg {\n", 0, _SCORES_BYTES) >= 0
    for before, after in _DENSE_PLACES if dense else _OTHER_PLACES:
        text = text.replace(before + old + after, before + new + after)
    return text


# An archive's alignments are all of one kind; the scores before the first one's kind are a few lines.
_SCORES_BYTES = 8192
_DENSE_PLACES = ((b"ids {\n            ", b","),)
_OTHER_PLACES = (
    (b"ids {\n              ", b","),  # Std-seg, Dense-diag
    (b"id ", b"\n              },"),  # interval of a Std-seg: the query's has another after it
    (b"empty ", b","),  # gap of a Std-seg
)
