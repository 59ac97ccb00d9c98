"""The titles of subjects that a database knows only by their ordinal number.

A database built without ``-parse_seqids`` calls its sequences ``gnl|BL_ORD_ID|N``,
and ``blastdbcmd`` cannot look these up. The header file (``.phr`` or ``.nhr``) holds
a ``Blast-def-line-set`` a sequence in binary ASN.1, at the first of the index file's
offset arrays; its first element is the title, a VisibleString.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from multiblast.targets.database import Database, in_canonical_order
from multiblast.targets.volume import Volume, read_volume

__all__ = ["subject_name"]

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
    match = _ORDINAL.fullmatch(subject)
    if match is None:
        return subject
    ordinal = int(match[1])
    for database in in_canonical_order(databases):
        kind = "n" if database.molecule == "nucleotide" else "p"
        for path in database.volumes:
            volume = read_volume(path, kind)
            if ordinal < volume.sequences:
                return _title(volume, ordinal).partition(" ")[0] or subject
            ordinal -= volume.sequences
    return subject


def _title(volume: Volume, ordinal: int) -> str:
    try:
        with volume.file("in").open("rb") as index, volume.file("hr").open("rb") as headers:
            index.seek(volume.arrays + 4 * ordinal)
            start, end = struct.unpack(">II", index.read(8))
            headers.seek(start)
            header = headers.read(end - start)
    except (OSError, struct.error):
        return ""
    at = header.find(_TITLE) + len(_TITLE)
    if at < len(_TITLE):
        return ""
    length, at = header[at], at + 1
    if length >= _LONG_FORM:
        count = length - _LONG_FORM
        length, at = int.from_bytes(header[at : at + count]), at + count
    return header[at : at + length].decode("utf-8", "replace")
