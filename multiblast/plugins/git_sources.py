"""Git repositories with plugins: the lines that name them, and checkouts of pinned commits."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl, urlsplit

from multiblast.errors import InvalidInputError, MultiblastError, Problem, ProgramError
from multiblast.ids import digest
from multiblast.plugins.records import KEEP_DAYS, PinFile, file_lock, plugins_home
from multiblast.programs import Program, clean_command

_SCHEMES = ("https", "ssh", "file")
_FORM = "write git+URL[@REF][#subdirectory=DIRECTORY], with a URL of https, ssh or file"
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_LINE = re.compile(r"[!-~]+")  # no blanks, nothing that cannot be printed
_FETCH_S = 600.0
_VARIABLES = ("HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


class GitError(MultiblastError):
    """A repository could not be fetched.

    Attributes:
        url: Its address.
    """

    def __init__(self, url: str, reason: str) -> None:
        """Name the repository and say why."""
        self.url = url
        super().__init__(f"{url} cannot be fetched: {reason}")


@dataclass(frozen=True, slots=True)
class GitSource:
    """A git line.

    Attributes:
        url: The address of the repository, for git.
        ref: A branch, a tag or a whole commit; empty for what the repository says.
        subdirectory: Where in it the plugins are; empty for all of it.
    """

    url: str
    ref: str = ""
    subdirectory: str = ""

    @classmethod
    def parse(cls, line: str) -> GitSource:
        """Read a line ``git+URL[@REF][#subdirectory=DIRECTORY]``; the ref is after the last ``@`` of the path.

        Raises:
            InvalidInputError: it is none, or names what git could take for something else.
        """
        line = line.strip()
        try:
            if not line.startswith("git+") or not _LINE.fullmatch(line):
                raise ValueError(_FORM)  # noqa: TRY301 - one way out
            parts = urlsplit(line.removeprefix("git+"))
            _check_address(parts.scheme, parts.hostname or "", parts.password, parts.query)
            path, _, ref = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
            if parts.path.endswith("@") or (ref and (not _REF.fullmatch(ref) or ".." in ref)):
                raise ValueError(f"{ref!r} is no branch, tag or commit")  # noqa: TRY301
            if path in {"", "/"} or ".." in PurePosixPath(path).parts:
                raise ValueError(f"{path!r} is no path of a repository")  # noqa: TRY301
            url = f"{parts.scheme}://{parts.netloc}{path}"
            return cls(url, ref, _subdirectory(parts.fragment))
        except ValueError as error:
            raise InvalidInputError(Problem(f"{error}", line[:200])) from error

    def __str__(self) -> str:
        """Return the line."""
        return f"git+{self.pin}" + (f"#subdirectory={self.subdirectory}" if self.subdirectory else "")

    @property
    def pin(self) -> str:
        """What a commit is pinned for: the repository and the ref, wherever in it plugins are."""
        return self.url + (f"@{self.ref}" if self.ref else "")


def _check_address(scheme: str, host: str, password: str | None, query: str) -> None:
    if scheme not in _SCHEMES or query:
        raise ValueError(_FORM)
    if password:
        raise ValueError("everybody sees a password in an address: let a credential helper of git know it")
    if host.startswith("-") or (scheme != "file" and not host) or (scheme == "file" and host not in {"", "localhost"}):
        raise ValueError(f"{host!r} is no host")


def _subdirectory(fragment: str) -> str:
    if not fragment:
        return ""
    named = parse_qsl(fragment, keep_blank_values=True, strict_parsing=True)
    if [key for key, _ in named] != ["subdirectory"]:
        raise ValueError(f"#{fragment} is not understood: write #subdirectory=DIRECTORY")
    path = PurePosixPath(named[0][1].lstrip("/"))
    if ".." in path.parts:
        raise ValueError(f"the subdirectory {named[0][1]!r} leads out of the repository")
    return "" if str(path) == "." else str(path)


class Checkouts:
    """Checkouts of repositories, one per commit, below ``git`` of a directory; ``plugins.lock`` pins commits."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = (directory or plugins_home()) / "git"
        self._pins = PinFile(directory)

    def find(self, source: GitSource, commits: dict[str, str] | None = None) -> tuple[Path, str] | None:
        """Return the directory with a line's plugins and its commit, if it was fetched; nothing is fetched here."""
        pinned = self._pins.read().commits if commits is None else commits
        commit = pinned.get(source.pin, "")
        place = self._place(source) / commit
        return (place / source.subdirectory, commit) if commit and place.is_dir() else None

    def ensure(self, source: GitSource) -> tuple[Path, str]:
        """Return what `find` does; the pinned commit is fetched if it is missing, or the newest if none is pinned.

        Raises:
            GitError: it could not be fetched.
        """
        if found := self.find(source):
            return found
        return self._fetch(source, self._pins.read().commits.get(source.pin) or source.ref)

    def update(self, source: GitSource) -> tuple[Path, str]:
        """Fetch what a line stands for now, and pin it; see `ensure`."""
        return self._fetch(source, source.ref)

    def sweep(self, days: float = KEEP_DAYS) -> list[str]:
        """Remove checkouts that are not pinned any more and older than some days; return their commits."""
        pinned = set(self._pins.read().commits.values())
        removed = []
        for checkout in sorted(self._directory.glob("*/*")):
            if checkout.name not in pinned and time.time() - checkout.lstat().st_ctime > days * 86400:
                with file_lock(checkout.parent.with_suffix(".flock"), wait=False) as is_free:
                    if is_free:
                        shutil.rmtree(checkout)
                        removed.append(checkout.name)
        return removed

    def _place(self, source: GitSource) -> Path:
        return self._directory / digest("git-source/1", source.url)

    def _fetch(self, source: GitSource, ref: str) -> tuple[Path, str]:
        place = self._place(source)
        with file_lock(place.with_suffix(".flock")), TemporaryDirectory(prefix="git-", dir=self._directory) as scratch:
            commit = fetch_commit(source.url, ref, Path(scratch))
            if not (place / commit).is_dir():
                place.mkdir(exist_ok=True)
                (Path(scratch) / "tree").rename(place / commit)
            self._pins.set_commit(source.pin, commit)
        return place / commit / source.subdirectory, commit


def fetch_commit(url: str, ref: str, into: Path) -> str:
    """Fetch one commit of a repository and write its files into ``into/tree``; return the commit.

    Raises:
        GitError: git is not installed, or the repository or the ref is not there.
    """
    repository = into / "repository.git"
    try:
        _git("init", "--quiet", "--bare", str(repository), into=into)
        _git("fetch", "--quiet", "--depth=1", "--no-tags", "--end-of-options", url, ref or "HEAD", into=repository)
        commit = _git("rev-parse", "--verify", "FETCH_HEAD^{commit}", into=repository).strip()
        # As an archive: files of a checkout may be links that lead elsewhere, and filters of the user's could run.
        _git("archive", "--format=tar", f"--output={into / 'tree.tar'}", commit, into=repository)
        with tarfile.open(into / "tree.tar") as archive:
            archive.extractall(into / "tree", filter="data")
    except ProgramError as error:
        remedy = "git is not installed. Type: apt-get install git" if shutil.which("git") is None else ""
        raise GitError(url, remedy or " ".join(error.stderr.split())[-1000:] or str(error)) from error
    except tarfile.TarError as error:
        raise GitError(url, f"it has a file that leads elsewhere: {error}") from error
    finally:
        (into / "tree.tar").unlink(missing_ok=True)
        shutil.rmtree(repository, ignore_errors=True)
    return commit


def _git(*words: str, into: Path) -> str:
    printed = into / "printed.txt"
    # Every other variable may be a secret, or make git do something else.
    variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    variables |= {name: text for name, text in os.environ.items() if name.lower() in _PROXIES}
    variables |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(_SCHEMES),
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "LC_ALL": "C",
    }
    command: Sequence[str] = ("git", *words)
    Program(clean_command(command, variables, into), stdout=printed, timeout_s=_FETCH_S).run()
    text = printed.read_text(encoding="utf-8", errors="replace")
    printed.unlink()
    return text
