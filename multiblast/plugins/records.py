"""What is kept about plugins in multiblast's home: what an administrator chose, and which versions are pinned.

``plugins.toml`` is for people: places of plugins, and settings of single plugins. ``plugins.lock`` is written by
commands: which commit a git line stands for, and which packages the requirements of a plugin stand for.
"""

from __future__ import annotations

import fcntl
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from multiblast.errors import InvalidInputError, Problem
from multiblast.files import replacing
from multiblast.settings import home

KEEP_DAYS = 30
"""For how long what nobody uses any more is kept."""


def plugins_home() -> Path:
    """Return the directory with all that is kept of plugins."""
    return home() / "plugins"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Places(_Table):
    """Places of plugins, beside those of the policy."""

    folders: tuple[str, ...] = ()
    git: tuple[str, ...] = ()


class PluginSettings(_Table):
    """What is set for one plugin.

    Attributes:
        coupling: How files reach its runs: see `multiblast.coupling.choose`.
    """

    coupling: str = ""


class Configuration(_Table):
    """What ``plugins.toml`` says.

    Attributes:
        sources: Written by `multiblast plugins add` and ``remove``.
        plugins: By a plugin's name.
    """

    sources: Places = Places()
    plugins: Mapping[str, PluginSettings] = {}

    @classmethod
    def read(cls, directory: Path | None = None) -> Configuration:
        """Read the file in a directory, by default in multiblast's home; nothing is said where there is none.

        Raises:
            InvalidInputError: it is not as it has to be.
        """
        path = _toml(directory)
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise InvalidInputError(
                Problem(one["msg"], f"{path}: {'.'.join(map(str, one['loc']))}") for one in error.errors()
            ) from error
        except (OSError, ValueError) as error:
            raise InvalidInputError(Problem(f"it cannot be read: {error}", str(path))) from error

    def coupling(self, name: str) -> str:
        """Return the coupling of a plugin; empty if none is set."""
        return self.plugins.get(name, PluginSettings()).coupling


def write_places(places: Places, directory: Path | None = None) -> None:
    """Put places into ``plugins.toml``, and leave everything else in it as it is.

    Raises:
        InvalidInputError: what is there cannot be read, or is written in a way that cannot be changed by a program.
    """
    path = _toml(directory)
    before = Configuration.read(directory)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lists = "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in places.model_dump().items()
    )
    section, found = f"[sources]\n{lists}\n", re.compile(r"(?ms)^\[sources\][^\n]*\n.*?(?=^\[[A-Za-z]|^#|\Z)")
    text = found.sub(lambda _: section, text, count=1) if found.search(text) else section + text
    after = before.model_copy(update={"sources": places})
    try:
        is_right = Configuration.model_validate(tomllib.loads(text)) == after
    except ValueError:
        is_right = False
    if not is_right:
        raise InvalidInputError(Problem("write its places as a table [sources], which commands can change", str(path)))
    with replacing(path) as file:
        file.write(text.rstrip().encode() + b"\n")


def _toml(directory: Path | None) -> Path:
    return (directory or plugins_home()) / "plugins.toml"


@dataclass(frozen=True)
class Pins:
    """What ``plugins.lock`` pins.

    Attributes:
        commits: By repository and ref: see `GitSource.pin`.
        locks: By the digest of requirements: the digest of their lock.
    """

    commits: Mapping[str, str]
    locks: Mapping[str, str]


class PinFile:
    """``plugins.lock`` in a directory, by default in multiblast's home."""

    def __init__(self, directory: Path | None = None) -> None:
        self._path = (directory or plugins_home()) / "plugins.lock"

    def read(self) -> Pins:
        """Return what is pinned; nothing, if nothing was.

        Raises:
            InvalidInputError: it is damaged.
        """
        found = self._read()
        return Pins(found["commits"], found["locks"])

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found: Any = json.loads(self._path.read_bytes())
            return {room: {str(key): str(value) for key, value in found[room].items()} for room in ("commits", "locks")}
        except FileNotFoundError:
            return {"commits": {}, "locks": {}}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "it is damaged: remove it, and type: multiblast plugins update"
            raise InvalidInputError(Problem(remedy, str(self._path))) from error

    def set_commit(self, pin: str, commit: str) -> None:
        """Pin the commit of a repository."""
        self._set("commits", pin, commit)

    def set_lock(self, requirements: str, lock: str) -> None:
        """Pin the lock of requirements, each by its digest."""
        self._set("locks", requirements, lock)

    def _set(self, room: str, key: str, value: str) -> None:
        with file_lock(self._path.with_name(".plugins.lock.flock")):
            found = self._read()
            if found[room].get(key) == value:
                return
            found[room][key] = value
            with replacing(self._path) as file:
                file.write(json.dumps({"version": 1, **found}, indent=2, sort_keys=True).encode() + b"\n")


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that goes with the process, while the block runs; say whether it was to be had without waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
