"""The names of subjects that a database knows only by their ordinal number.

A database built without ``-parse_seqids`` calls its sequences ``gnl|BL_ORD_ID|N``,
and ``blastdbcmd`` cannot look these up. The header file (``.phr`` or ``.nhr``) holds
one ``Blast-def-line-set`` per sequence in binary ASN.1, at the first of the index file's
offset arrays; its first element is the title, a VisibleString.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from multiblast.errors import InvalidInputError
from multiblast.targets.database import BlastDatabase
from multiblast.targets.volume import Volume, place_of, read_volume

_ORDINAL = re.compile(r"gnl\|BL_ORD_ID\|(\d+)")
_TITLE = b"\xa0\x80\x1a"  # context tag 0, of indefinite length, then VisibleString
_LONG_FORM = 0x80


def name_subjects(databases: Iterable[BlastDatabase], subjects: Sequence[str]) -> list[str]:
    """Return the names that a person knows subjects by, in the order of their ids as they stand in an archive.

    For an ordinal number it is the first word of the subject's defline; any other id stays as it is, and
    all do if the databases cannot be read any more.
    """
    ordinals = [ordinal_of(subject) for subject in subjects]
    titles = subject_titles(databases, sorted({ordinal for ordinal in ordinals if ordinal is not None}))
    names: dict[int | None, str] = {ordinal: _name(title) for ordinal, title in titles.items()}
    return [names.get(ordinal) or subject for ordinal, subject in zip(ordinals, subjects, strict=True)]


def subject_titles(databases: Iterable[BlastDatabase], ordinals: Sequence[int]) -> dict[int, bytes]:
    """Return the titles of subjects by their ordinal numbers, which are sorted; without those that cannot be read."""
    titles: dict[int, bytes] = {}
    first = 0  # ordinal number of the volume's first sequence
    with suppress(InvalidInputError):
        for volume in _volumes(databases) if ordinals else ():
            here = ordinals[bisect_left(ordinals, first) : bisect_left(ordinals, first + volume.sequences)]
            titles.update(zip(here, _titles(volume, (ordinal - first for ordinal in here)), strict=False))
            first += volume.sequences
    return titles


def subject_names(databases: Iterable[BlastDatabase]) -> Iterator[str]:
    """Yield the first word of each subject's defline, in the order of their ordinal numbers."""
    for volume in _volumes(databases):
        yield from map(_name, _titles(volume, range(volume.sequences)))


def ordinal_of(subject: str) -> int | None:
    """Return the ordinal number that an id consists of, 0-based; None for any other id."""
    match = _ORDINAL.fullmatch(subject)
    return int(match[1]) if match else None


def has_own_ids(databases: Iterable[BlastDatabase]) -> bool:
    """Return whether all subjects have ids of their own, as in databases built with ``-parse_seqids``."""
    return all(volume.file("og").exists() for volume in _volumes(databases))


def _volumes(databases: Iterable[BlastDatabase]) -> Iterator[Volume]:
    """Yield the volumes of databases as BLAST+ numbers their sequences."""
    kinds = {path: one.molecule.letter for one in databases for path in one.volumes}
    places = {place_of(path): path for path in kinds}
    yield from (read_volume(path, kinds[path]) for _, path in sorted(places.items()))


def _name(title: bytes) -> str:
    return title.decode("utf-8", "replace").partition(" ")[0]


def _titles(volume: Volume, ordinals: Iterable[int]) -> Iterator[bytes]:
    """Yield the titles of sequences by their 0-based numbers in the volume; none any more where it cannot be read."""
    try:
        with volume.file("in").open("rb") as index, volume.file("hr").open("rb") as headers:
            for ordinal in ordinals:
                index.seek(volume.arrays + 4 * ordinal)
                start, end = struct.unpack(">2I", index.read(8))
                headers.seek(start)
                yield _title(headers.read(end - start))
    except (OSError, struct.error):
        return


def _title(header: bytes) -> bytes:
    at = header.find(_TITLE) + len(_TITLE)
    if at < len(_TITLE):
        return b""
    length, at = header[at], at + 1
    if length >= _LONG_FORM:
        count = length - _LONG_FORM
        length, at = int.from_bytes(header[at : at + count]), at + count
    return header[at : at + length]
