"""What ports carry: data types, which say what something means, and content types, which say how it is written.

Data types are words with slashes, such as ``sequences/protein``. They match by the rules of QHAna: ``a``, ``a/`` and
``a/*`` are the same and match every sub-type of ``a``, ``*`` matches everything, else both must be equal. Content
types are media types, which match alike: ``text/*`` takes ``text/html``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

DATA_TYPE = r"(\*|[a-z][a-z0-9-]*(/([a-z][a-z0-9-]*|\*)?)?)"
"""The pattern of a data type."""

CONTENT_TYPE = r"(\*|[a-z]+/(\*|[a-z0-9][a-z0-9.+-]*))"
"""The pattern of a content type."""

SUFFIXES = {
    "text/x-fasta": ".fasta",
    "text/x-stockholm": ".sto",
    "text/x-newick": ".nwk",
    "text/x-hmmer": ".hmm",
    "text/tab-separated-values": ".tsv",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "image/svg+xml": ".svg",
    "image/png": ".png",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/gzip": ".gz",
    "application/vnd.apache.parquet": ".parquet",
}
"""What names of files end in, by content type."""

DIRECTORY = "inode/directory"
"""The content type of a directory."""

UNKNOWN = "application/octet-stream"
"""The content type of a file whose name does not say."""


def matches(have: str, want: str) -> bool:
    """Return whether something of one type is fit for a port of another, be they data types or content types."""
    have, want = _plain(have), _plain(want)
    if want in {"*", have}:
        return True
    return "/" not in want and have.partition("/")[0] == want


def content_of(name: str) -> str:
    """Return the content type of a file by its name; `UNKNOWN` if that does not say."""
    for content, suffix in SUFFIXES.items():
        if name.lower().endswith(suffix):
            return content
    return "text/x-fasta" if re.search(r"\.(fa|faa|fna|fas)$", name, re.IGNORECASE) else UNKNOWN


def resolved(data: str, kinds: Mapping[str, Sequence[str]]) -> str:
    """Return an output's data type; ``alignment/{sequences}`` has the sub-type of what came in at ``sequences``."""
    head, braced, port = data.partition("/{")
    if not braced:
        return data
    under = {kind.partition("/")[2].removesuffix("*") for kind in kinds.get(port.removesuffix("}"), ())}
    sub_type = min(under) if len(under) == 1 else ""
    return f"{head}/{sub_type}" if sub_type else head


def _plain(type_: str) -> str:
    """Return the shortest spelling of a type: ``a`` for ``a/`` and ``a/*``."""
    return type_.removesuffix("*").removesuffix("/") or "*"
