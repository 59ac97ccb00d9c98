"""Environments of plugins: one for each lock, made by uv, shared by all plugins with the same, removed when unused."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.specifiers import SpecifierSet

from multiblast.errors import FailureClass, MultiblastError, ProgramError
from multiblast.files import replacing
from multiblast.ids import digest, is_id
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.records import KEEP_DAYS, PinFile, file_lock, plugins_home
from multiblast.plugins.requirements import Requirements, requirements_of
from multiblast.programs import Program, clean_command

_MAKE_S = 1800.0
_TOUCH_S = 3600.0
_READY = "ready"
_SEEN = re.compile(r"^(UV_.*|HOME|TMPDIR|XDG_(CACHE|CONFIG|DATA)_HOME|SSL_CERT_(FILE|DIR)|NETRC|(?i:\w+_proxy))$")
_MISSING = re.compile(
    r"Because (\S+) was not found in the cache|Failed to (?:fetch|download|build):? `?([^`\s]+)|"
    r"(?:there is no version of|there are no versions of) (\S+)|Because (\S+) was not found"
)


class PreparationError(MultiblastError):
    """The environment of a plugin could not be made.

    Attributes:
        plugin: Name and version.
        missing: A package, or the address of one, that could not be had; empty if it is not that.
    """

    def __init__(self, plugin: str, reason: str, missing: str = "") -> None:
        """Name the plugin and say why."""
        self.plugin, self.missing = plugin, missing
        names = f"{missing} cannot be had: " if missing else ""
        super().__init__(f"the environment of {plugin} cannot be made: {names}{reason}")


@dataclass(frozen=True, slots=True)
class Lock:
    """Which packages the requirements of a plugin stand for.

    Attributes:
        text: One package a line, with its version and the hashes of its files, as pip reads them.
        python: The version of Python that it is for, such as ``3.11``.
    """

    text: str
    python: str

    @property
    def digest(self) -> str:
        """Equal for equal locks: the name of their environment."""
        return digest("plugin-environment/1", [self.text, self.python])

    @property
    def packages(self) -> list[str]:
        """The packages, as ``name==version``."""
        return re.findall(r"(?m)^([A-Za-z0-9][^\s;\\]*(?: @ [^\s;\\]+)?)", self.text)


@dataclass(frozen=True, slots=True)
class Environment:
    """What a plugin is run with.

    Attributes:
        python: Its Python; None if it needs none.
        digest: That of its lock; empty if it needs none.
    """

    python: Path | None = None
    digest: str = ""

    @property
    def programs(self) -> Path | None:
        """The directory of its programs, which goes before others on the path."""
        return self.python.parent if self.python else None

    @property
    def packages(self) -> Path | None:
        """The directory of its packages."""
        found = sorted(self.python.parents[1].glob("lib/python*/site-packages")) if self.python else []
        return found[0] if found else None


class Environments:
    """Environments below ``environments`` of a directory, by default in multiblast's home.

    Which lock the requirements of a plugin have is pinned once, so that it stays what it is until it is updated.
    """

    def __init__(self, directory: Path | None = None) -> None:
        base = directory or plugins_home()
        self._directory, self._locks, self._pins = base / "environments", base / "locks", PinFile(directory)

    def lock(self, plugin: Plugin, *, offline: bool = False, renew: bool = False, keep: bool = True) -> Lock | None:
        """Return the lock of a plugin; None if it needs no environment.

        Args:
            plugin: The plugin.
            offline: Do without the network, with what was fetched before.
            renew: Find the newest packages, whatever was pinned.
            keep: Pin it; else nothing is written.

        Raises:
            PreparationError: no packages satisfy its requirements, or one cannot be had.
            InvalidInputError: its requirements cannot be read.
        """
        needed = requirements_of(plugin)
        if plugin.script is None and not needed.lines:
            return None
        known = "" if renew else self._pins.read().locks.get(needed.digest, "")
        if known and (lock := self._read(known)):
            return lock
        made = self._compile(plugin, needed, offline=offline, cached=keep)
        if keep:
            with replacing(self._locks / f"{made.digest}.txt") as file:
                file.write(f"# python {made.python}\n{made.text}".encode())
            self._pins.set_lock(needed.digest, made.digest)
        return made

    def digest(self, plugin: Plugin) -> str:
        """Return the digest of a plugin's lock; empty if it needs no environment. See `lock`."""
        lock = self.lock(plugin)
        return lock.digest if lock else ""

    def find(self, plugin: Plugin) -> Environment | None:
        """Return a plugin's environment if it is there already; nothing is locked or made."""
        needed = requirements_of(plugin)
        if plugin.script is None and not needed.lines:
            return Environment()
        known = self._pins.read().locks.get(needed.digest, "")
        place = self._directory / known
        return Environment(place / "bin" / "python", known) if known and _is_ready(place) else None

    def prepare(self, plugin: Plugin, *, offline: bool = False, lock: Lock | None = None) -> Environment:
        """Return a plugin's environment, made if it is not there; see `lock`.

        Args:
            plugin: The plugin.
            offline: Do without the network, with what was fetched before.
            lock: That of another machine, which counts instead of what is pinned here.

        Raises:
            PreparationError: a package cannot be had, or uv is missing.
            InvalidInputError: its requirements cannot be read.
        """
        lock = lock or self.lock(plugin, offline=offline)
        if lock is None:
            return Environment()
        place = self._directory / lock.digest
        if not _is_ready(place) or _age_s(place / _READY) > _TOUCH_S:
            try:
                with file_lock(place.with_suffix(".flock")):
                    if _is_ready(place):
                        os.utime(place / _READY)  # it is in use
                    else:
                        self._make(plugin, lock, place, offline=offline)
            except OSError as error:
                raise PreparationError(plugin.identifier, str(error)) from error
        return Environment(place / "bin" / "python", lock.digest)

    def sweep(self, days: float = KEEP_DAYS) -> list[str]:
        """Remove environments that no run used for some days, and return their digests; a run makes them anew."""
        removed = []
        for place in sorted(self._directory.glob("*")) if self._directory.is_dir() else []:
            if not is_id(place.name):
                continue
            with file_lock(place.with_suffix(".flock"), wait=False) as is_free:
                used = place / _READY if (place / _READY).exists() else place
                if is_free and _age_s(used) > days * 86400:
                    (place / _READY).unlink(missing_ok=True)
                    shutil.rmtree(place)
                    removed.append(place.name)
        return removed

    def _read(self, known: str) -> Lock | None:
        with suppress(FileNotFoundError):
            head, _, text = (self._locks / f"{known}.txt").read_text(encoding="utf-8").partition("\n")
            lock = Lock(text, head.removeprefix("# python "))
            return lock if lock.digest == known else None
        return None

    def _compile(self, plugin: Plugin, needed: Requirements, *, offline: bool, cached: bool) -> Lock:
        python = _python_for(plugin, needed.python)
        if not needed.lines:
            return Lock("", python.version)
        plain = ["--quiet", "--no-header", "--no-annotate"]
        if needed.locked:
            words = ["export", "--frozen", "--no-emit-project", "--no-dev", "--format=requirements.txt", *plain]
            words += ["--python", python.path, "--project", str(needed.locked)]
        else:
            words = ["pip", "compile", "--generate-hashes", "--python", python.path, *plain, "-"]
        if not cached:
            words.append("--no-cache")
        text = "\n".join(needed.lines) + "\n"
        try:
            return Lock(_uv(plugin, words, text, offline=offline), python.version)
        except PreparationError as error:
            if offline or not error.missing:
                raise
            with suppress(PreparationError):  # without a network, what was fetched before may do
                return Lock(_uv(plugin, words, text, offline=True), python.version)
            raise

    def _make(self, plugin: Plugin, lock: Lock, place: Path, *, offline: bool) -> None:
        """Make an environment; what a killed process left of it goes first."""
        shutil.rmtree(place, ignore_errors=True)
        python = _python_for(plugin, f"=={lock.python}.*")
        _uv(plugin, ["venv", "--quiet", "--no-project", "--python", python.path, str(place)])
        if lock.packages:
            # Copied: a plugin that writes to a file in common with uv's cache would change other plugins.
            words = [
                "pip",
                "sync",
                "--quiet",
                "--link-mode=copy",
                "--require-hashes",
                "--python",
                str(place / "bin" / "python"),
                "-",
            ]
            try:
                _uv(plugin, words, lock.text, offline=True)
            except PreparationError:
                if offline:
                    raise
                _uv(plugin, words, lock.text)
        with replacing(place / _READY) as file:
            file.write(lock.python.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class _Python:
    path: str
    version: str


def _python_for(plugin: Plugin, wanted: str) -> _Python:
    """Return a Python whose version fits: our own if it does, else one that uv finds or fetches."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if SpecifierSet(wanted).contains(f"{ours}.{sys.version_info.micro}", prereleases=True):
        return _Python(sys.executable, ours)
    try:
        found = _uv(plugin, ["python", "find", "--no-project", "--show-version", wanted]).strip()
    except PreparationError as error:
        remedy = f"it needs Python {wanted}, which is not installed. Type: uv python install '{wanted}'"
        raise PreparationError(plugin.identifier, remedy) from error
    version = ".".join(found.split(".")[:2])
    return _Python(version, version)


def find_uv() -> str:
    """Return the path of uv: beside our Python, else on the path.

    Raises:
        ProgramError: it is not installed.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        remedy = "uv is not installed. Type: pip install uv"
        raise ProgramError(["uv"], 127, remedy, FailureClass.MISSING_PROGRAM)
    return found


def _uv(plugin: Plugin, words: list[str], text: str = "", *, offline: bool = False) -> str:
    """Run uv with a text as its input, and return what it prints."""
    with TemporaryDirectory(prefix="plugin-") as scratch:
        given, printed = Path(scratch) / "given.txt", Path(scratch) / "printed.txt"
        given.write_text(text, encoding="utf-8")
        # It runs code of packages that come as source: what else is in our environment may be a secret.
        seen = {name: value for name, value in os.environ.items() if _SEEN.match(name)}
        try:
            command = clean_command([find_uv(), *words, *(["--offline"] if offline else [])], seen, Path(scratch))
            Program(command, stdin=given, stdout=printed, timeout_s=_MAKE_S).run()
        except ProgramError as error:
            raise _why(plugin, error) from error
        return printed.read_text(encoding="utf-8")


def _why(plugin: Plugin, error: ProgramError) -> PreparationError:
    found = _MISSING.search(error.stderr)
    missing = next((group for group in found.groups() if group), "") if found else ""
    reason = " ".join(error.stderr.split())[:1000] or str(error)
    return PreparationError(plugin.identifier, reason, missing.rstrip(",.;"))


def _is_ready(place: Path) -> bool:
    """Return whether an environment is whole; the Python that it was made from may be gone since."""
    return (place / _READY).exists() and (place / "bin" / "python").exists()


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
