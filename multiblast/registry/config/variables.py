"""Variables of a configuration, such as ``${{DATE}}``, put in wherever text stands; many come from git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from multiblast.errors import InvalidInputError, MultiblastError, NotFoundError, Problem
from multiblast.registry.config.document import Document
from multiblast.registry.model.names import VERSION_WORDS

DIRTY = "-dirty"  # as git describe marks a commit that is not what is in the work tree

_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_GIT_TIMEOUT_S = 30
_VARIABLE = re.compile(r"\$\{\{\s*([^}${\s]+)\s*\}\}")
# The run's own number is known when it runs; a token must not be written down.
_LEFT = {"RUN_ID", "LOCAL_TOKEN", "CONFIG_DIR"}
_KNOWN = ("DATE", "DATETIME", "DATETIME-%fmt", "USER", "USER_ID", "REPO_DIR", "CONFIG_DIR", "LOCAL_TOKEN",
          "SOURCE_CONFIG", "GIT_BRANCH", "GIT_REMOTE", "GIT_TAG", "RUN_ID")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repository:
    """What git knows of the repository that a directory is in."""

    directory: Path

    @property
    def root(self) -> Path:
        """Its directory; the given one if there is no repository."""
        return Path(self._ask("rev-parse", "--show-toplevel") or self.directory)

    @property
    def state(self) -> str:
        """The commit that is checked out, with `DIRTY` after it if tracked files are not those of it; empty if none."""
        commit = self._ask("rev-parse", "HEAD")
        is_dirty = commit and self._ask("status", "--porcelain", "--untracked-files=no")
        return commit + (DIRTY if is_dirty else "")

    @property
    def branch(self) -> str:
        """The branch; raises `InvalidInputError` if none is checked out."""
        name = self._ask("symbolic-ref", "--short", "-q", "HEAD")
        if not name:
            raise InvalidInputError("the git repository is on no branch: check one out, or do not use GIT_BRANCH")
        return name

    @property
    def remote(self) -> str:
        """The URL of its origin, without user and password; empty if it has none."""
        return _CREDENTIALS.sub("", self._ask("remote", "get-url", "origin"))

    @property
    def tag(self) -> str:
        """The nearest tag in the history; raises `InvalidInputError` if there is none."""
        name = self._ask("describe", "--tags", "--abbrev=0")
        if not name:
            raise InvalidInputError("the history of the git repository has no tag: make one, or do not use GIT_TAG")
        return name

    @property
    def user(self) -> str:
        """The name git knows its user by; empty if none is set."""
        return self._ask("config", "user.name")

    def _ask(self, *words: str) -> str:
        command = ["git", "-C", str(self.directory), *words]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_GIT_TIMEOUT_S, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise NotFoundError("program", "git", "install it") from error
        return done.stdout.strip() if done.returncode == 0 else ""


@dataclass(frozen=True, slots=True)
class VariableValues:
    """What variables stand for; a user's id is such as an ORCID."""

    now: datetime
    user: str
    user_id: str
    config: Path
    repository: Repository

    def value(self, name: str) -> str | None:
        """Return what a variable stands for; None if it is none.

        Raises:
            InvalidInputError: it is one, and has no value here.
        """
        if name.startswith("DATETIME-"):
            return self.now.strftime(name.removeprefix("DATETIME-"))
        known: dict[str, Callable[[], str]] = {
            "DATE": lambda: self.now.strftime("%Y%m%d"),
            "DATETIME": lambda: self.now.strftime("%Y-%m-%dT%H:%M:%S%Z"),
            "USER": lambda: self.user,
            "USER_ID": lambda: self.user_id,
            "REPO_DIR": lambda: str(self.repository.root),
            "SOURCE_CONFIG": lambda: self.config.name,
            "GIT_BRANCH": lambda: self.repository.branch,
            "GIT_REMOTE": lambda: self.repository.remote,
            "GIT_TAG": lambda: self.repository.tag,
        }
        if name not in known:
            return None
        if not (value := known[name]()):
            raise InvalidInputError(f"${{{{{name}}}}} stands for nothing here: set it, or do not use it")
        return value


def substitute(document: Document, surroundings: VariableValues) -> Any:
    """Return a document's data with its variables replaced, except those that only the run knows.

    Raises:
        InvalidInputError: with all that are unknown or have no value.
    """
    problems: list[Problem] = []
    data = _replaced(document.data, "", surroundings, document, problems)
    if problems:
        raise InvalidInputError(problems)
    return data


def _replaced(data: Any, key: str, around: VariableValues, document: Document, problems: list[Problem]) -> Any:
    if isinstance(data, dict):
        return {
            name: _replaced(value, f"{key}.{name}" if key else name, around, document, problems)
            for name, value in data.items()
        }
    if isinstance(data, list):
        return [_replaced(value, f"{key}[{n}]", around, document, problems) for n, value in enumerate(data)]
    if not isinstance(data, str):
        return data

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in _LEFT or name in VERSION_WORDS:
            return f"${{{{{name}}}}}"
        try:
            found = around.value(name)
        except MultiblastError as error:
            problems.append(document.problem(str(error), key))
            return ""
        if found is None:
            problems.append(document.problem(f"{match[0]} is no variable: there is {', '.join(_KNOWN)}", key))
        return found or ""

    return _VARIABLE.sub(value, data)
