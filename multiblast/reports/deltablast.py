"""Reports of deltablast: ``blast_formatter`` takes its results for those of psiblast, and says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from multiblast.reports.filters import substitute

__all__ = ["as_deltablast"]

_REFERENCE = (
    b"Grzegorz M. Boratyn, Alejandro A. Schaffer, Richa Agarwala, Stephen F. Altschul, David J. Lipman and "
    b"Thomas L. Madden (2012) %sDomain enhanced lookup time accelerated BLAST%s, Biology Direct 7:12."
)
_TEXT = b"""Reference for DELTA-BLAST: Grzegorz M. Boratyn, Alejandro A.
Schaffer, Richa Agarwala, Stephen F. Altschul, David J. Lipman and
Thomas L. Madden (2012) "Domain enhanced lookup time accelerated
BLAST", Biology Direct 7:12.
"""
_HTML = b"""<b><a href="https://www.ncbi.nlm.nih.gov/pubmed/22510480">Reference
for DELTA-BLAST</a>:</b>
Grzegorz M. Boratyn, Alejandro A. Schaffer, Richa Agarwala, Stephen
F. Altschul, David J. Lipman and Thomas L. Madden (2012) "Domain
enhanced lookup time accelerated BLAST", Biology Direct 7:12.
"""
_LATER_ROUNDS = (
    rb"(?:<b><a\nhref=[^>]*>)?Reference for\s+composition-based statistics starting in round 2.*?3005\.\n\n\n"
)
_PLACES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rb"(?m)^(?P<bold><b>)?PSIBLAST (?P<version>[\d.]+\+)(?:</b>)?\n|^"
        + _LATER_ROUNDS
        + rb"|^Results from round 0\n",
        rb"# PSIBLAST ([\d.]+\+)\n# Iteration: 0\n",
        (
            rb'(program(?:>|": "))psiblast(</(?:BlastOutput_)?program>\n|",\n)'
            rb'( *(?:<(?:BlastOutput_)?version>|"version": "))PSIBLAST ([^\n]*\n)'
            rb'( *(?:<(?:BlastOutput_)?reference>|"reference": "))[^\n]*?(</(?:BlastOutput_)?reference>\n|",\n)'
        ),
        rb'(label str "|"str": ")psiblast("[^0-9]*(?:data int|"int":) )10\b',
        rb"\x1a\x08psiblast(\x00{4}\xa2\x80\xa1\x80\x02\x01)\x0a",
    )
)


def as_deltablast(chunks: Iterable[bytes], format_type: int) -> Iterator[bytes]:
    """Yield a report, of one round, under deltablast's own name and with its references."""
    text, table, structured, seqalign, binary = _PLACES
    pattern, replace = {
        7: (table, _table),
        8: (seqalign, _seqalign),
        12: (seqalign, _seqalign),
        9: (binary, _binary),
    }.get(format_type, (structured, _structured) if format_type in range(5, 18) else (text, _text))
    return substitute(chunks, pattern, replace)


def _text(found: re.Match[bytes]) -> bytes:
    if not found["version"]:
        return b""
    name = b"DELTABLAST " + found["version"]
    return b"<b>%s</b>\n\n\n%s" % (name, _HTML) if found["bold"] else b"%s\n\n\n%s" % (name, _TEXT)


def _table(found: re.Match[bytes]) -> bytes:
    return b"# DELTABLAST %s\n" % found[1]


def _structured(found: re.Match[bytes]) -> bytes:
    quote = b"&quot;" if found[6].startswith(b"<") else b'\\"'
    reference = _REFERENCE % (quote, quote)
    return found[1] + b"deltablast" + found[2] + found[3] + b"DELTABLAST " + found[4] + found[5] + reference + found[6]


def _seqalign(found: re.Match[bytes]) -> bytes:
    return found[1] + b"deltablast" + found[2] + b"14"


def _binary(found: re.Match[bytes]) -> bytes:
    return b"\x1a\x0adeltablast" + found[1] + b"\x0e"
