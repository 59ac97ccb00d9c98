"""What a database consists of: volumes, alias files and the lists these name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase

from multiblast.errors import InvalidInputError
from multiblast.targets.volume import PROFILE_FILES, Volume, check_together, check_whole, place_of, read_volume

_LISTS = ("GILIST", "TILIST", "SEQIDLIST", "OIDLIST", "TAXIDLIST", "PIGLIST")
_MEMBER = re.compile(r'"([^"]*)"|(\S+)')
_VOLUME_FILES = ("in", "sq", "hr")
_EXTRA_FILES = ("ot",)
_DEEPEST_ALIAS = 16


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias file, ``.pal`` or ``.nal``, with its fields but those that name members and lists."""

    path: Path
    fields: dict[str, str]
    members: tuple[Path, ...]  # the databases it puts together, without extension
    lists: tuple[Path, ...]  # the files that select some of their sequences

    def hides(self, name: str) -> bool:
        """Return whether ``name`` is one of the numbered volumes of a database of the alias's own name."""
        own = self.path.stem
        return any(m.name == name and re.fullmatch(re.escape(own) + r"\.\d+", name) for m in self.members)


@dataclass(slots=True)
class Content:
    """All of a database: its alias files, outermost first, and its volumes in the order in which they are searched."""

    aliases: list[Alias] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)

    def files(self) -> Iterator[Path]:
        """Yield every file that exists and can change a result or a report."""
        for alias in self.aliases:
            yield alias.path
            yield from alias.lists
        for volume in self.volumes:
            yield from volume_files(volume)


def volume_files(volume: Volume) -> Iterator[Path]:
    """Yield the files of a volume that can change a result or a report."""
    yield from map(volume.file, _VOLUME_FILES)
    profiles = (volume.path.with_name(f"{volume.path.name}.{extension}") for extension in PROFILE_FILES)
    optional = [*map(volume.file, _EXTRA_FILES), *profiles]
    yield from (path for path in optional if path.exists())
    for files in columns(volume):
        yield from files


def columns(volume: Volume) -> Iterator[tuple[Path, Path]]:
    """Yield the index and data file of each further column that a volume has, such as masks."""
    for letter in ascii_lowercase:
        index, data = volume.file(f"{letter}a"), volume.file(f"{letter}b")
        if not index.exists():
            return
        yield index, data


def read_content(path: Path, kind: str, root: Path) -> Content:
    """Read what the database at ``path`` (without extension) of kind "p" or "n" consists of.

    Raises:
        InvalidInputError: a file is missing, damaged, outside of ``root`` or of a name that BLAST+ cannot open.
    """
    if any(ord(c) < ord(" ") or c == '"' for c in str(path)):
        raise InvalidInputError(f"BLAST+ cannot open {str(path)!r}: rename it without quotes and control characters")
    content = Content()
    _gather(content, path, kind, _DEEPEST_ALIAS)
    by_place = {place_of(volume.path): volume for volume in content.volumes}
    content.volumes = [by_place[place] for place in sorted(by_place)]
    real_root = root.resolve()
    directories: dict[Path, Path] = {}  # most files share one, and resolving is slow
    for file in content.files():
        if file.is_symlink():
            real = file.resolve()
        else:
            real = directories.get(file.parent) or directories.setdefault(file.parent, file.parent.resolve())
        if not real.is_relative_to(real_root):
            raise InvalidInputError(f"{str(file)!r} leads outside of the targets root {str(root)!r}")
        if not file.is_file():
            raise InvalidInputError(f"{str(file)!r} is missing: copy the database again, whole")
    for volume in content.volumes:
        check_whole(volume)
    check_together(content.volumes)
    return content


def _gather(content: Content, path: Path, kind: str, depth: int) -> None:
    alias_file = path.with_name(f"{path.name}.{kind}al")
    if not alias_file.is_file():  # an alias goes before a volume of the same name, as in BLAST+
        content.volumes.append(read_volume(path, kind))
        return
    if not depth:
        raise InvalidInputError(f"{str(alias_file)!r} is nested too deeply: does an alias name itself?")
    alias = read_alias(alias_file)
    content.aliases.append(alias)
    for member in alias.members:
        _gather(content, member, kind, depth - 1)


def read_alias(path: Path) -> Alias:
    """Read an alias file; its words are separated by blanks or tabs."""
    fields: dict[str, str] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        key, *value = line.split(maxsplit=1) or [""]
        if key and not key.startswith("#"):
            fields[key] = "".join(value).strip()
    members = tuple(path.parent / name for name in _names(fields.pop("DBLIST", "")))
    lists = tuple(path.parent / name for key in _LISTS for name in _names(fields.pop(key, "")))
    if not members:
        raise InvalidInputError(f"{str(path)!r} names no database in DBLIST")
    return Alias(path, fields, members, lists)


def _names(text: str) -> list[str]:
    return [quoted or plain for quoted, plain in _MEMBER.findall(text)]
