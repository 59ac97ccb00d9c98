"""Fingerprints: the identity of a database's content, by which a rebuilt one is noticed.

A fingerprint depends on content, never on names, places or times of files, so that a copy has the same. It is
the digest of, for each volume, what the index file says (molecule, title, date, sequences, letters, longest
sequence), its offset arrays, the residues, the deflines and the taxonomy ids, and for aliases what they say and
the lists they select by.

Counts and offsets alone would miss a rebuild in which one residue was replaced by another: nothing in the index
file changes but the date, and that counts minutes. So the residues and deflines themselves are digested: whole
up to a budget (256 MiB for all volumes together, some 0.3 s), and beyond it as blocks spread evenly, where
the date in the index file catches what falls between the blocks. A database that takes longer than a minute
to build cannot be rebuilt within the minute.

The date is part of it since reports print it. So a rebuild from the same sequences is another database.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from multiblast import ids
from multiblast.files import replacing
from multiblast.targets.content import Alias, Content, volume_files
from multiblast.targets.volume import Volume

_BUDGET_BYTES = 256 << 20
_BLOCK_BYTES = 1 << 16
_LEAST_BLOCKS = 16
_TAG = "database/1"


def fingerprint(content: Content, cache: Path) -> str:
    """Return the fingerprint of ``content``, from the directory ``cache`` if none of its files was touched since."""
    files = list(content.files())
    signature = ids.digest(_TAG, [_signature(file) for file in files])
    known = cache / ids.digest("path/1", str(files[0]))
    with suppress(OSError, UnicodeDecodeError):
        kept, _, result = known.read_text().partition(" ")
        if kept == signature and ids.is_id(result):
            return result
    result = _compute(content)
    with suppress(OSError), replacing(known) as file:  # a cache that cannot be written is done without
        file.write(f"{signature} {result}".encode())
    return result


def _signature(file: Path) -> list[str | int]:
    """What changes when a file is touched; the change time cannot be set back as the modification time can."""
    stat = file.stat()
    return [str(file), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _compute(content: Content) -> str:
    budget = _BUDGET_BYTES // max(1, len(content.volumes))
    volumes = [_volume(volume, budget) for volume in content.volumes]
    return ids.digest(_TAG, {"aliases": [_alias(alias) for alias in content.aliases], "volumes": volumes})


def _alias(alias: Alias) -> ids.Canonical:
    return {
        "fields": alias.fields,
        "members": len(alias.members),
        "lists": [file_digest(path, _BUDGET_BYTES) for path in alias.lists],
    }


def _volume(volume: Volume, budget: int) -> ids.Canonical:
    index, *files = volume_files(volume)
    return {
        "kind": volume.kind,
        "title": volume.title,
        "date": volume.date.isoformat(),
        "sequences": volume.sequences,
        "letters": volume.letters,
        "longest": volume.longest,
        "arrays": file_digest(index, budget // 2, volume.arrays),  # the header before them has the file's own name
        "files": {file.suffix: file_digest(file, budget // 2) for file in files},
    }


def file_digest(path: Path, budget: int, start: int = 0) -> ids.Canonical:
    """Digest a file from ``start`` on: all of it, or blocks spread over it, the first and the last among them."""
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size - start
        blocks = -(-size // _BLOCK_BYTES)
        taken = min(blocks, max(_LEAST_BLOCKS, budget // _BLOCK_BYTES))
        for number in range(taken):
            offset = number * (size - _BLOCK_BYTES) // (taken - 1) if taken < blocks else number * _BLOCK_BYTES
            stream.seek(start + offset)
            hasher.update(stream.read(_BLOCK_BYTES))
    return [size, hasher.digest()]
