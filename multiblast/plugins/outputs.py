"""What a plugin made: found by port, checked, and measured, before anything of it is taken."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multiblast.coupling.trees import Tree
from multiblast.errors import FailureClass, InvalidInputError
from multiblast.files import is_utf8, sha256_of
from multiblast.plugins.commands import OUTPUTS, output_path
from multiblast.plugins.contents import wrong_content
from multiblast.plugins.description import Description
from multiblast.plugins.events import Claim
from multiblast.plugins.failure import PluginError
from multiblast.plugins.kinds import DIRECTORY, content_of, matches, resolved

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


@dataclass(frozen=True, slots=True)
class MadeOutput:
    """A file or directory that a plugin made.

    Attributes:
        name: What a person calls it, such as ``alignment.fasta``.
        data: What it means, such as ``alignment/protein``.
        content: How it is written.
        sha256: Of the file; of a directory that of its `multiblast.coupling.trees.Tree`.
    """

    port: str
    name: str
    path: Path
    data: str
    content: str
    size_bytes: int
    sha256: str
    is_directory: bool


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Looks at what a plugin left, of which nothing runs any more.

    Attributes:
        plugin: What errors call it.
        directory: In which it ran.
        limit_bytes: How much all outputs may be together.
    """

    plugin: str
    description: Description
    directory: Path
    limit_bytes: int

    def take(self, claims: Mapping[str, Sequence[Claim]], kinds: Mapping[str, Sequence[str]]) -> tuple[MadeOutput, ...]:
        """Return the outputs, in the order of the table.

        Args:
            claims: Which files they are, where the plugin has said so.
            kinds: The data types of the inputs, by port.

        Raises:
            PluginError: one is missing, or is not what the table says.
        """
        if unknown := set(claims) - set(self.description.outputs):
            raise self._wrong(f"there is no output {min(unknown)!r} in its table")
        self.check_plain(self.directory / OUTPUTS)
        made = []
        for port, output in self.description.outputs.items():
            found = list(claims.get(port, ())) if output.many else [*claims.get(port, ())][-1:]
            found = found or self._found(port)
            if not found and output.required:
                expected = output_path(self.description, port, Path())
                raise self._wrong(f"the output {port} is missing: write {expected}; {self._there()}")
            for claim in found:
                self.check_plain(claim.path)
                if (one := self._taken(claim, kinds)) is not None:
                    made.append(one)
        names = Counter(one.name for one in made)
        if several := [name for name, count in names.items() if count > 1]:
            raise self._wrong(f"several of its outputs are called {several[0]}: give each a name of its own")
        if sum(one.size_bytes for one in made) > self.limit_bytes:
            raise self._wrong(f"its outputs are larger than {self.limit_bytes / 1e9:g} GB (run.output_gb)")
        return tuple(made)

    def check_plain(self, path: Path) -> None:
        """Refuse what is, or has in it, anything but files and directories of its own; so for what leads to it."""
        at = self.directory
        for part in path.relative_to(self.directory).parts:
            at /= part
            self._check_one(at)
        if not path.is_dir():
            self._check_links([path])
            return
        below = list(_below(path))
        for one in below:
            self._check_one(one)
        self._check_links(below)

    def _check_one(self, path: Path) -> None:
        name = path.relative_to(self.directory)
        if not str(name).isprintable() or not is_utf8(str(name)):
            raise self._wrong(f"{str(name)!a} is no name to keep: use characters that can be printed, in UTF-8")
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            raise self._wrong(f"{name} is not there") from None
        if kind := _KINDS.get(stat.S_IFMT(mode)):
            raise self._wrong(f"{name} is {kind}: only files and directories are taken")
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            raise self._wrong(f"{name} would run with the rights of others (setuid or setgid)")

    def _check_links(self, paths: Sequence[Path]) -> None:
        """Refuse a file that also has a name outside: it could change afterwards, or be somebody else's."""
        several = [path for path in paths if path.is_file() and path.stat().st_nlink > 1]
        if not several:
            return
        links = Counter((found.st_dev, found.st_ino) for found in (path.lstat() for path in _below(self.directory)))
        for path in several:
            found = path.lstat()
            if found.st_nlink > links[found.st_dev, found.st_ino]:
                raise self._wrong(f"{path.relative_to(self.directory)} is a hard link to a file elsewhere: copy it")

    def _found(self, port: str) -> list[Claim]:
        first = output_path(self.description, port, self.directory)
        if first.exists():
            return [Claim(port, first, first.name)]
        directory = self.directory / OUTPUTS
        names = sorted(os.listdir(directory)) if directory.is_dir() else []  # noqa: PTH208 - names are wanted
        found = [name for name in names if name == port or name.startswith(f"{port}.")]
        if len(found) > 1:
            raise self._wrong(f"the output {port} may be any of {', '.join(found)}: leave one, or name it by an event")
        return [Claim(port, directory / name, name) for name in found]

    def _taken(self, claim: Claim, kinds: Mapping[str, Sequence[str]]) -> MadeOutput | None:
        output, path = self.description.outputs[claim.port], claim.path
        content, is_directory = output.content, path.is_dir()
        if is_directory != (content == DIRECTORY) and content != "*":
            wanted, there = ("directory", "file") if content == DIRECTORY else ("file", "directory")
            raise self._wrong(f"the output {claim.port} is a {there}, it should be a {wanted}")
        if is_directory:
            tree = self._tree(path, claim.port)
            if not (tree.files or output.required):
                return None
            size, sha256, content = tree.size_bytes, tree.sha256, DIRECTORY
        else:
            size = path.stat().st_size
            if not size and not output.required:
                return None
            if problem := "is empty" if not size else wrong_content(path, content):
                raise self._wrong(f"the output {claim.port} ({claim.name}) {problem}")
            sha256 = sha256_of(path)
            if "*" in content:
                content = claim.content if claim.content and matches(claim.content, content) else content_of(claim.name)
        data = resolved(output.data, kinds)
        # Where the table takes the sub-type from an input, the plugin may know better: it may have translated it.
        if claim.data and not matches(claim.data, output.data.partition("/{")[0]):
            raise self._wrong(f"the output {claim.port} is said to be {claim.data}, but its table says {data}")
        data = claim.data or data
        return MadeOutput(claim.port, claim.name, path, data, content, size, sha256, is_directory)

    def _tree(self, path: Path, port: str) -> Tree:
        try:
            return Tree.of(path)
        except InvalidInputError as error:
            raise self._wrong(f"the output {port}: {error}") from error

    def _there(self) -> str:
        directory = self.directory / OUTPUTS
        names = sorted(os.listdir(directory))[:5] if directory.is_dir() else []  # noqa: PTH208 - names are wanted
        return f"in {OUTPUTS}/ there is {', '.join(names)}" if names else f"there is nothing in {OUTPUTS}/"

    def _wrong(self, reason: str) -> PluginError:
        return PluginError(self.plugin, reason, "", FailureClass.OUTPUT)


def _below(directory: Path) -> Iterator[Path]:
    for name in sorted(os.listdir(directory)):  # noqa: PTH208 - as Path.rglob leaves out what cannot be read
        path = directory / name
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
