"""Installing a file as a target, once under its content's digest: FASTA is built, an archive of a database unpacked."""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from multiblast.errors import InvalidInputError
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.targets.database import BlastDatabase
from multiblast.targets.new_target import NewTarget, make_target
from multiblast.targets.targets import Targets
from multiblast.targets.volume import PROFILE_FILES

_OWN_LAYOUT = "{site}/{target}/{database}"
_BUILT = "sequences"
_MEMBER = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.+-]*\.([pn][a-z]{{2}}|{'|'.join(PROFILE_FILES)})")


@dataclass(frozen=True, slots=True)
class FileTarget:
    """A file that is to be searched.

    Attributes:
        file: FASTA, plain or gzipped, or a tar or zip archive of one BLAST+ database's files.
        content: The digest of the file, which names the target.
        title: What reports call a database that is built.
    """

    file: Path
    site: str
    content: str
    molecule: DatabaseKind
    title: str

    @property
    def is_archive(self) -> bool:
        """Whether it is unpacked and not built."""
        with self.file.open("rb") as file:
            is_fasta = file.read(1) == b">"
        return not is_fasta and (zipfile.is_zipfile(self.file) or tarfile.is_tarfile(self.file))


def install_file(targets: Targets, wanted: FileTarget, *, program: str = "makeblastdb") -> BlastDatabase:
    """Return the database of a file, which is made if it is not there yet.

    Raises:
        InvalidInputError: the file is no database that can be searched, or the layout of the root has no place for it.
        ProgramError: the program is missing or refuses the sequences.
    """
    if found := _installed(targets, wanted):
        return found
    if wanted.is_archive:
        _unpack(targets, wanted)
    elif wanted.molecule == DatabaseKind.PROFILE:
        raise InvalidInputError(f"{wanted.title} is no archive: profiles are not built from sequences")
    else:
        new = NewTarget(
            wanted.site, wanted.content, _BUILT, wanted.file, Molecule(wanted.molecule), wanted.title, replace=True
        )
        return make_target(targets, new, program=program)
    if found := _installed(targets, wanted):
        return found
    raise InvalidInputError(f"the database in {wanted.title} is no {wanted.molecule} database, as this program needs")


def _installed(targets: Targets, wanted: FileTarget) -> BlastDatabase | None:
    for again in (False, True):  # another process may have made it
        if again:
            targets.rescan()
        for one in targets.databases():
            if (one.site, one.target, one.molecule) == (wanted.site, wanted.content, wanted.molecule):
                return one
    return None


def _unpack(targets: Targets, wanted: FileTarget) -> None:
    """Unpack an archive beside, look whether it is one whole database, and move that in."""
    place = targets.root / targets.layout.directory(wanted.site, wanted.content)
    with TemporaryDirectory(dir=targets.root, prefix=".unpacking-") as temporary:
        directory = Path(temporary) / wanted.site / wanted.content
        directory.mkdir(parents=True)
        try:
            for name, stream in _members(wanted.file):
                with (directory / name).open("xb") as file:
                    shutil.copyfileobj(stream, file)
        except (FileExistsError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise InvalidInputError(f"{wanted.title} cannot be unpacked: {error}") from error
        inside = Targets(Path(temporary), _OWN_LAYOUT, targets.cache)
        names = [database.name for database in inside.databases()]
        if problems := inside.problems():
            raise InvalidInputError(f"the database in {wanted.title} is damaged: {problems[0].message}")
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise InvalidInputError(f"{wanted.title} must be an archive of one BLAST+ database, and there is {listed}")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            directory.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was quicker
                raise


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the plain files of an archive that belong to a database, by name without directories."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if _MEMBER.fullmatch(base := PurePosixPath(name).name):
                    with archive.open(name) as stream:
                        yield base, stream
        return
    with tarfile.open(path) as packed:
        for member in packed:
            content = packed.extractfile(member) if member.isfile() else None
            if content and _MEMBER.fullmatch(base := PurePosixPath(member.name).name):
                yield base, content
