"""What a code repository knows of itself, asked of git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from multiblast.errors import InvalidInputError, NotFoundError

DIRTY = "-dirty"  # as git describe marks a commit that is not what is in the work tree

_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_TIMEOUT_S = 30


class Repository:
    """A git repository.

    Args:
        directory: Any directory in it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return bool(self._ask("rev-parse", "--show-toplevel"))

    @property
    def root(self) -> Path:
        """Its directory; the given one if there is no repository."""
        return Path(self._ask("rev-parse", "--show-toplevel") or self.directory)

    @property
    def commit(self) -> str:
        """The commit that is checked out; empty if there is none."""
        return self._ask("rev-parse", "HEAD")

    @property
    def is_clean(self) -> bool:
        """Whether every file that git tracks is as it was committed; data and notes beside them do not count."""
        return not self._ask("status", "--porcelain", "--untracked-files=no")

    @property
    def state(self) -> str:
        """The commit that is checked out, with `DIRTY` after it if the files are not those of the commit."""
        return self.commit and self.commit + ("" if self.is_clean else DIRTY)

    @property
    def branch(self) -> str:
        """The branch.

        Raises:
            InvalidInputError: no branch is checked out.
        """
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
        """The nearest tag in the history.

        Raises:
            InvalidInputError: there is none.
        """
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
                command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError as error:
            raise NotFoundError("program", "git", "install it") from error
        return done.stdout.strip() if done.returncode == 0 else ""
