"""Reports of deltablast: ``blast_formatter`` takes its results for those of psiblast, and says so."""

from __future__ import annotations

import re
from collections.abc import Callable

Renaming = tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]]
"""Where a kind of report names its program and references, and what stands there instead."""

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


def _text(found: re.Match[bytes]) -> bytes:
    if not found["version"]:
        return b""
    name = b"DELTABLAST " + found["version"]
    return b"<b>%s</b>\n\n\n%s" % (name, _HTML) if found["bold"] else b"%s\n\n\n%s" % (name, _TEXT)


def _structured(found: re.Match[bytes]) -> bytes:
    quote = b"&quot;" if found[6].startswith(b"<") else b'\\"'
    reference = _REFERENCE % (quote, quote)
    return found[1] + b"deltablast" + found[2] + found[3] + b"DELTABLAST " + found[4] + found[5] + reference + found[6]


TEXT: Renaming = (
    re.compile(
        rb"(?ms)^(?P<bold><b>)?PSIBLAST (?P<version>[\d.]+\+)(?:</b>)?\n|^"
        + _LATER_ROUNDS
        + rb"|^Results from round 0\n"
    ),
    _text,
)
TABLE: Renaming = (
    re.compile(rb"# PSIBLAST ([\d.]+\+)\n# Iteration: 0\n"),
    lambda found: b"# DELTABLAST %s\n" % found[1],
)
STRUCTURED: Renaming = (
    re.compile(
        rb'(program(?:>|": "))psiblast(</(?:BlastOutput_)?program>\n|",\n)'
        rb'( *(?:<(?:BlastOutput_)?version>|"version": "))PSIBLAST ([^\n]*\n)'
        rb'( *(?:<(?:BlastOutput_)?reference>|"reference": "))[^\n]*?(</(?:BlastOutput_)?reference>\n|",\n)'
    ),
    _structured,
)
SEQALIGN: Renaming = (
    re.compile(rb'(label str "|"str": ")psiblast("[^0-9]*(?:data int|"int":) )10\b'),
    lambda found: found[1] + b"deltablast" + found[2] + b"14",
)
BINARY: Renaming = (
    re.compile(rb"\x1a\x08psiblast(\x00{4}\xa2\x80\xa1\x80\x02\x01)\x0a"),
    lambda found: b"\x1a\x0adeltablast" + found[1] + b"\x0e",
)
OF_ROUNDS: dict[Renaming, Renaming] = {
    TEXT: (TEXT[0], lambda found: b"Results from round 1\n" if found[0].startswith(b"Results") else _text(found)),
    TABLE: (
        re.compile(rb"# PSIBLAST ([\d.]+\+)\n# Iteration: (\d+)\n"),
        lambda found: b"# DELTABLAST %s\n# Iteration: %d\n" % (found[1], max(1, int(found[2]))),
    ),
}
"""Those of several rounds that are others."""
