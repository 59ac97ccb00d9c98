"""One volume of a BLAST+ database, as its index file describes it.

Read directly, since ``blastdbcmd -info`` takes some 30 ms per database. The index file (``.pin`` or ``.nin``)
begins with: format version; molecule (1 is protein); in version 5 the volume's number; title; in version 5
the name of the LMDB file; date; sequences; letters; longest sequence. Texts have their length before them;
numbers are 32 bits, big-endian, but letters are 64 bits, little-endian. Offset arrays follow.

Source: NCBI C++ Toolkit, seqdbvol/seqdbfile and writedb_isam; compared with ``blastdbcmd`` in the tests.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from multiblast.errors import InvalidInputError

PROFILE_FILES = ("rps", "aux", "loo", "freq", "wgts", "obsr")
_V4, _V5 = 4, 5
_LONGEST_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume.

    Attributes:
        path: Its path without extension.
        kind: "p" or "n", the first letter of its files' extensions.
        version: The database format, 4 or 5.
        date: When it was built, to the minute, in the local time of that machine.
        longest: The residues of the longest sequence.
        arrays: Where in the index file the offset arrays begin.
        lookup: The file beside it by which version 5 finds its sequences; empty in version 4.
    """

    path: Path
    kind: str
    version: int
    title: str
    date: datetime
    sequences: int
    letters: int
    longest: int
    arrays: int
    lookup: str = ""

    def file(self, extension: str) -> Path:
        """Return the file of the volume with this extension, less its first letter, e.g. ``in``, ``sq``, ``hr``."""
        return self.path.with_name(f"{self.path.name}.{self.kind}{extension}")

    @property
    def is_profile(self) -> bool:
        """Whether it holds the profiles of rpsblast."""
        return self.path.with_name(f"{self.path.name}.rps").exists()


def read_volume(path: Path, kind: str) -> Volume:
    """Read the index file of the volume at ``path`` (without extension); an `InvalidInputError` if it is none."""
    index = path.with_name(f"{path.name}.{kind}in")
    try:
        with index.open("rb") as stream:
            return _parse(stream, path, kind)
    except OSError as error:
        raise InvalidInputError(f"cannot read {str(index)!r}: {error.strerror}") from error
    except (ValueError, struct.error) as error:
        raise InvalidInputError(f"{str(index)!r} is no BLAST+ index file of version 4 or 5 ({error})") from error


def place_of(path: Path) -> tuple[str, str]:
    """Return what orders volumes as BLAST+ numbers their sequences; those of one place are searched once.

    Source: SeqDB_CompareVolume of the NCBI C++ Toolkit; links to directories are followed before.
    """
    return path.name, os.path.realpath(path)


def check_whole(volume: Volume) -> None:
    """Refuse a volume with a file missing or shorter than the index file says; BLAST+ would crash, or search a part."""
    if volume.lookup and not volume.path.with_name(volume.lookup).is_file():
        needed = f"{str(volume.file('in'))!r} needs {volume.lookup!r} beside it, which is missing"
        raise InvalidInputError(
            f"{needed}: databases of version 5 cannot be renamed; copy it again, under its own name"
        )
    with volume.file("in").open("rb") as stream:
        for number, extension in enumerate(("hr", "sq"), start=1):
            stream.seek(volume.arrays + 4 * (number * (volume.sequences + 1) - 1))
            needed_bytes = int.from_bytes(stream.read(4))
            file = volume.file(extension)
            if not file.is_file():
                raise InvalidInputError(f"{str(file)!r} is missing: copy the database again, whole")
            if file.stat().st_size < needed_bytes:
                reason = f"{str(file)!r} has {file.stat().st_size:,} bytes of {needed_bytes:,}"
                raise InvalidInputError(f"{reason}: copy the database again, whole")


def check_together(volumes: Iterable[Volume]) -> None:
    """Refuse volumes that BLAST+ cannot search, or not report on, in one run."""
    forms = {(volume.version, volume.version == _V5 and volume.file("og").exists()) for volume in volumes}
    if len({version for version, _ in forms}) > 1:
        raise InvalidInputError("BLAST+ cannot search databases of version 4 and 5 together: rebuild, or choose others")
    if len(forms) > 1:
        mixed = "databases that were built with and without -parse_seqids together"
        raise InvalidInputError(f"BLAST+ cannot report on {mixed}: rebuild, or search them in two jobs")


def _parse(stream: BinaryIO, path: Path, kind: str) -> Volume:
    version, is_protein = struct.unpack(">ii", stream.read(8))
    if version not in {_V4, _V5} or is_protein != (kind == "p"):
        raise ValueError(f"version {version}, molecule {is_protein}")
    if version == _V5:
        stream.read(4)  # the volume's number
    title, lookup = _text(stream), ""
    if version == _V5:
        lookup = _text(stream)
    date = datetime.strptime(_text(stream), "%b %d, %Y %I:%M %p")  # noqa: DTZ007 - BLAST+ writes no zone
    (sequences,) = struct.unpack(">i", stream.read(4))
    (letters,) = struct.unpack("<q", stream.read(8))
    (longest,) = struct.unpack(">i", stream.read(4))
    return Volume(path, kind, version, title, date, sequences, letters, longest, stream.tell(), lookup)


def _text(stream: BinaryIO) -> str:
    (length,) = struct.unpack(">i", stream.read(4))
    if not 0 <= length <= _LONGEST_TEXT:
        raise ValueError(f"a text of {length} bytes")
    return stream.read(length).rstrip(b"\0").decode("utf-8", "replace")
