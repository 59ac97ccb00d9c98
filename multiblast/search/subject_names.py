"""Names of subjects, kept for the time when their database is another one.

A database built without ``-parse_seqids`` only numbers its sequences, and so do the results
that are kept: once it was rebuilt, nobody could find out any more what they had found. So the
first search of such a database writes down which name each number stands for.
"""

from __future__ import annotations

import shutil
import struct
from array import array
from collections.abc import Iterable, Sequence
from tempfile import TemporaryFile
from typing import BinaryIO

from multiblast.errors import ConflictError
from multiblast.object_kinds import subject_names_key
from multiblast.stores import Store
from multiblast.targets import BlastDatabase, has_own_ids, mixture, ordinal_of, subject_names

_MOST = 5_000_000  # larger databases come with ids
_COUNT, _OFFSET = struct.Struct("<Q"), struct.Struct("<2Q")


def keep_names(store: Store, databases: Sequence[BlastDatabase]) -> None:
    """Write down the names of databases that only number their sequences, unless that was done before."""
    key = subject_names_key(database.fingerprint for database in databases)
    if has_own_ids(databases) or sum(database.sequences for database in databases) > _MOST or store.exists(key):
        return
    if mixture(databases):  # whose numbers do not follow from their contents
        return
    ends = array("Q")
    with TemporaryFile() as names, TemporaryFile() as whole:
        written = 0
        for name in subject_names(databases):
            written += names.write(name.encode("utf-8", "surrogateescape"))
            ends.append(written)
        whole.write(_COUNT.pack(len(ends)) + _COUNT.pack(0))
        whole.write(struct.pack(f"<{len(ends)}Q", *ends))
        names.seek(0)
        shutil.copyfileobj(names, whole)
        whole.seek(0)
        if key != subject_names_key(database.fingerprint for database in databases):
            raise ConflictError("a database was replaced while its names were read: restart the job")
        store.put(key, whole)


class SubjectNames:
    """What the numbers of subjects stood for in databases of these fingerprints; closed after use.

    Raises:
        ObjectMissingError: nothing is known of these databases.
    """

    def __init__(self, store: Store, fingerprints: Iterable[str]) -> None:
        with store.open(subject_names_key(fingerprints)) as stream:
            self._file: BinaryIO = TemporaryFile()  # noqa: SIM115 - closed by close
            shutil.copyfileobj(stream, self._file)
        self._file.seek(0)
        (self._count,) = _COUNT.unpack(self._file.read(_COUNT.size))

    def name(self, subject: str) -> str:
        """Return a subject's name; an id that is no number as it is."""
        ordinal = ordinal_of(subject)
        if ordinal is None or ordinal >= self._count:
            return subject
        self._file.seek(_COUNT.size * (1 + ordinal))
        begin, end = _OFFSET.unpack(self._file.read(_OFFSET.size))
        self._file.seek(_COUNT.size * (2 + self._count) + begin)
        return self._file.read(end - begin).decode("utf-8", "surrogateescape") or subject

    def close(self) -> None:
        """Forget them."""
        self._file.close()
