"""What docs/reference/exactness.md lists as different from plain BLAST+, taken out of two reports to be compared."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise

from multiblast.installation import Installation
from multiblast.reports import Formatting
from multiblast.reports.exactness import incomplete_in_blast

# What differs where BLAST+ cannot search with a query, and with no other of its batch: its parameters are -1.
_JSON_STAT = re.compile(
    rb'(?:\s*"query_masking": \[[^\]]*\],)?(?:\s*"hits": \[\s*\],)?(\s*"stat": \{[^{}]*"kappa": -1,[^{}]*\}),?'
    rb'(?:\s*"message": "(?:\\.|[^"\n])*(?:Could not calculate|No hits found)[^"\n]*")?',
    re.DOTALL,
)
_XML2_STAT = re.compile(
    rb"(?:\s*<query-masking>(?:(?!</query-masking>).)*</query-masking>)?(?:\s*<hits></hits>)?(\s*<stat>\s*<Statistics>(?:(?!</stat>).)*"
    rb"<kappa>-1</kappa>.*?</stat>)(?:\s*<message>[^<]*(?:Could not calculate|No hits found)[^<]*</message>)?",
    re.DOTALL,
)
_XML_STAT = re.compile(
    rb"(<Statistics_kappa>-1</Statistics_kappa>(?:(?!</Iteration>).)*?)"
    rb"\s*<Iteration_message>[^<]*(?:Could not calculate|No hits found)[^<]*</Iteration_message>",
    re.DOTALL,
)
_TEXT_STAT = re.compile(
    rb"\n+(?:Lambda      K        H\n +-1\.00[^\n]*\n\n)?(?:Gapped\nLambda      K        H\n +-1\.00[^\n]*\n)?"
    rb"\n*(Effective search space used: 0\n)"
)
_EMPTY = re.compile(rb'(?:(?<=")[^"\n]*|[^">\n]*)Filtering resulted in an empty database\.[^"<\n]*?(No hits found)')
_PROFILE = re.compile(rb"(?<!Gapped\n)(Lambda      K        H[^\n]*\n)[^\n]*\n")
_ROUND = re.compile(rb"<Iteration>.*?<Iteration_query-ID>([^<]*)<.*?</Iteration>\n", re.DOTALL)
_LATER_ROUND = re.compile(  # of JSON and XML2
    rb',?\n( +)\{\n +"iter_num": (?!1,)\d+,.*?\n\1\}|\n( +)<Iteration>\n +<iter-num>(?!1<)\d.*?\n\2</Iteration>',
    re.DOTALL,
)
_THRESHOLD = re.compile(rb"(Neighboring words threshold: \d+)\.\d+")
_FONT = re.compile(rb"</?font[^>]*>")  # of lower case
_FOUND_AGAIN = re.compile(rb"(Sequences used in model and found again:\n\n)(?:[^\n]+\n)*")


def _without_listed(program: str, options: Collection[str], number: str, text: bytes) -> bytes:
    """Return a report without that which docs/reference/exactness.md lists, and nothing else."""
    pairwise = number in {"0", "1", "2", "3", "4"}
    if pairwise:
        text = _THRESHOLD.sub(rb"\1", _TEXT_STAT.sub(rb"\n\1", text))
        text = _PROFILE.sub(rb"\1", text) if program == "deltablast" else text
        text = text if {"db_soft_mask", "db_hard_mask"}.isdisjoint(options) else _FONT.sub(b"", text).lower()
    elif number == "7":
        text = text.replace(b"# 0 hits found\n", b"")
    elif number in {"13", "15"}:
        text = _JSON_STAT.sub(rb"\1", text)
    elif number in {"14", "16"}:
        text = _XML2_STAT.sub(rb"\1", text)
    elif number == "5":
        text = _XML_STAT.sub(rb"\1", text)
    if "taxids" in options or "negative_taxids" in options:
        text = _EMPTY.sub(rb"\1", text)
    if {"num_iterations", "max_target_seqs"} <= set(options):
        if pairwise:
            text = _FOUND_AGAIN.sub(rb"\1", text)
        else:
            text = _LATER_ROUND.sub(b"", _first_rounds(text) if number == "5" else text)
    return text


def _first_rounds(text: bytes) -> bytes:
    """Return an XML report without the rounds of a query that follow its first."""
    rounds = list(_ROUND.finditer(text))
    for former, later in reversed(list(pairwise(rounds))):
        if former[1] == later[1]:
            text = text[: later.start()] + text[later.end() :]
    return text


def is_listed(program: str, options: Collection[str], formatting: Formatting, plain: bytes, ours: bytes) -> bool:
    """Whether docs/reference/exactness.md says that two reports may differ so, and they are the same but for that."""
    if formatting.format in incomplete_in_blast(program, Installation().version(program)):
        return True
    plain, ours = (_without_listed(program, options, formatting.format, text) for text in (plain, ours))
    if formatting.sort_hits is not None or formatting.sort_hsps is not None:  # equals may change places
        plain, ours = (b"\n".join(sorted(text.split(b"\n"))) for text in (plain, ours))
    return plain == ours
