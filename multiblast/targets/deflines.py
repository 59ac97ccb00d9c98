"""The names of subjects that a database knows only by their ordinal number.

A database built without ``-parse_seqids`` calls its sequences ``gnl|BL_ORD_ID|N``,
and ``blastdbcmd`` cannot look these up. The header file (``.phr`` or ``.nhr``) holds
a ``Blast-def-line-set`` a sequence in binary ASN.1, at the first of the index file's
offset arrays; its first element is the title, a VisibleString.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from multiblast.targets.database import Database, in_canonical_order
from multiblast.targets.volume import Volume, read_volume

__all__ = ["has_own_ids", "ordinal_of", "subject_name", "subject_names"]

_ORDINAL = re.compile(r"gnl\|BL_ORD_ID\|(\d+)")
_TITLE = b"\xa0\x80\x1a"  # context tag 0, of indefinite length, then VisibleString
_LONG_FORM = 0x80


def subject_name(databases: Iterable[Database], subject: str) -> str:
    """Return the name that a person knows a subject by.

    Args:
        databases: What was searched.
        subject: An id as it stands in an archive.

    Returns:
        The first word of the subject's defline for an ordinal number; any other id as it is.
    """
    ordinal = ordinal_of(subject)
    if ordinal is None:
        return subject
    for volume in _volumes(databases):
        if ordinal < volume.sequences:
            return next(_names(volume, ordinal), "") or subject
        ordinal -= volume.sequences
    return subject


def subject_names(databases: Iterable[Database]) -> Iterator[str]:
    """Yield the first word of each subject's defline, in the order of their ordinal numbers."""
    for volume in _volumes(databases):
        yield from _names(volume)


def ordinal_of(subject: str) -> int | None:
    """Return the ordinal number that an id consists of, 0-based; None for any other id."""
    match = _ORDINAL.fullmatch(subject)
    return int(match[1]) if match else None


def has_own_ids(databases: Iterable[Database]) -> bool:
    """Tell whether all subjects have ids of their own, as in databases built with ``-parse_seqids``."""
    return all(volume.file("og").exists() for volume in _volumes(databases))


def _volumes(databases: Iterable[Database]) -> Iterator[Volume]:
    for database in in_canonical_order(databases):
        for path in database.volumes:
            yield read_volume(path, "n" if database.molecule == "nucleotide" else "p")


def _names(volume: Volume, first: int = 0) -> Iterator[str]:
    """Yield names from one ordinal number of the volume on; none if it cannot be read."""
    try:
        with volume.file("in").open("rb") as index, volume.file("hr").open("rb") as headers:
            index.seek(volume.arrays + 4 * first)
            (start,) = struct.unpack(">I", index.read(4))
            headers.seek(start)
            for _ in range(first, volume.sequences):
                (end,) = struct.unpack(">I", index.read(4))
                yield _title(headers.read(end - start)).partition(" ")[0]
                start = end
    except (OSError, struct.error):
        return


def _title(header: bytes) -> str:
    at = header.find(_TITLE) + len(_TITLE)
    if at < len(_TITLE):
        return ""
    length, at = header[at], at + 1
    if length >= _LONG_FORM:
        count = length - _LONG_FORM
        length, at = int.from_bytes(header[at : at + count]), at + count
    return header[at : at + length].decode("utf-8", "replace")
