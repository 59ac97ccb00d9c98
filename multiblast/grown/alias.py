"""Aliases by which BLAST+ searches some sequences of databases with the statistics of all of them.

An alias file names a database (``DBLIST``), a mask with a bit for each of its sequences (``OIDLIST``), and how many
sequences and letters BLAST+ takes for its statistics (``NSEQ``, ``LENGTH``): those of the whole. Sequences keep the
numbers that they have in the whole, and so their order and their ids. A mask over a database of several volumes would
silently be taken for the first volume's, so each volume has an alias of its own, and one more puts these together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from multiblast.archive import DatabaseSize
from multiblast.errors import InvalidInputError
from multiblast.grown.oids import OidSet, bytes_for
from multiblast.targets import BlastDatabase
from multiblast.targets.content import read_content
from multiblast.targets.volume import Volume

_KNOWN_FIELDS = {"TITLE", "NSEQ", "LENGTH"}
_WORD_BYTES = 4


def write_alias(
    databases: Iterable[BlastDatabase], size: DatabaseSize, subjects: OidSet, directory: Path, name: str
) -> Path:
    """Write the alias of some sequences of all databases together; return its path without extension.

    Args:
        databases: In the order in which they are searched together.
        size: Their letters and sequences, as BLAST+ takes them for statistics.
        subjects: The sequences to search.
        directory: Where its files go; it must stay until the search has ended.
        name: What its files' names begin with.

    Raises:
        InvalidInputError: the databases are not those of the set, or of a kind that has no masks: see `volumes_of`.
    """
    parts, start = [], 0
    volumes = list(volumes_of(databases))
    for number, volume in enumerate(volumes):
        part = f"{name}.v{number}"
        end = start + volume.sequences
        _write_mask(directory / f"{part}.msk", subjects, start, end)
        lines = [f'DBLIST "{volume.path}"', f"OIDLIST {part}.msk", *_size_lines(volume.sequences, volume.letters)]
        _write_lines(directory / f"{part}.{volume.kind}al", lines)
        parts.append(part)
        start = end
    if start != subjects.size:
        raise InvalidInputError(f"the databases have {start} sequences, but {subjects.size} were compared")
    lines = [f"DBLIST {' '.join(parts)}", *_size_lines(size.sequences, size.letters)]
    _write_lines(directory / f"{name}.{volumes[0].kind}al", lines)
    return directory / name


def volumes_of(databases: Iterable[BlastDatabase]) -> Iterator[Volume]:
    """Yield the volumes of databases in the order in which BLAST+ numbers their sequences.

    Raises:
        InvalidInputError: a database of profiles, or one that is itself a selection of sequences.
    """
    for database in databases:
        content = read_content(database.path, database.molecule.letter, database.root)
        selecting = any(alias.lists or alias.fields.keys() - _KNOWN_FIELDS for alias in content.aliases)
        if selecting or any(volume.is_profile for volume in content.volumes):
            raise InvalidInputError(f"{database.display} selects sequences, or holds profiles: search it whole")
        yield from content.volumes


def argument_of(alias: Path) -> str:
    """Return what follows ``-db`` for a database at this path."""
    return f'"{alias}"' if " " in str(alias) else str(alias)


def _size_lines(sequences: int, letters: int) -> Sequence[str]:
    return f"NSEQ {sequences}", f"LENGTH {letters}"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("TITLE part\n" + "".join(f"{line}\n" for line in lines), "utf-8")


def _write_mask(path: Path, subjects: OidSet, start: int, end: int) -> None:
    """Write the bits of a volume's sequences after the number of its last, in whole words of four bytes."""
    with path.open("wb") as file:
        file.write((end - start - 1).to_bytes(_WORD_BYTES))
        file.writelines(subjects.pieces(start, end))
        file.write(bytes(-bytes_for(end - start) % _WORD_BYTES))
