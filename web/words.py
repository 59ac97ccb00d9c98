"""How the design calls report formats and orders of hits, for which BLAST+ has numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMATS = (
    "pairwise",
    "query-anchored-with-identities",
    "query-anchored-no-identities",
    "flat-query-anchored-with-identities",
    "flat-query-anchored-no-identities",
    "xml",
    "tabular",
    "tabular-with-comments",
    "seqalign-text",
    "seqalign-binary",
    "csv",
    "asn1",
    "seqalign-json",
    "multi-file-blast-json",
    "multi-file-blast-xml2",
    "single-file-blast-json",
    "single-file-blast-xml2",
    "sam",
    "organism-report",
)
ORDERS = {
    "sortHits": ("by-evalue", "by-bit-score", "by-total-score", "by-percent-identity", "by-query-coverage"),
    "sortHSPs": (
        "by-hsp-evalue",
        "by-hsp-score",
        "by-hsp-query-start",
        "by-hsp-percent-identity",
        "by-hsp-subject-start",
    ),
}
_WORDS = {"formatType": FORMATS, **ORDERS}


def numbered(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's ``blastConfig`` with the numbers that the design's words stand for; all else as it is."""
    return {
        name: _WORDS[name].index(value) if isinstance(value, str) and value in _WORDS.get(name, ()) else value
        for name, value in config.items()
    }


def named(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report's ``blastConfig`` with the design's words for numbers; formats that it does not have stay."""
    return {
        name: _WORDS[name][int(value)] if name in _WORDS and str(value).isdecimal() else value
        for name, value in config.items()
    }
