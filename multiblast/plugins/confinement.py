"""What a plugin's process gets to see: an environment of its own, and with bubblewrap a file system of its own.

In the sandbox there are the system's programs, the plugin's files, its environment and its inputs, all read-only, and
one directory to write to. Homes, our data, other processes and, unless the table asks for it, the network are not
there. Paths are the same inside and outside.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import parse_qs, urlsplit

from multiblast.errors import FailureClass, InvalidInputError, Problem
from multiblast.plugins.failure import PluginError
from multiblast.settings import home

SandboxChoice = Literal["auto", "bwrap", "none"]

REMEDY = "install bubblewrap 0.8 or later, and let users make name spaces (sysctl kernel.unprivileged_userns_clone=1)"
"""What makes a sandbox possible."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_PACKAGES = Path("/opt")  # which may hold anything: only the package of a program is seen
# Of /etc only what programs need to run: as root the rest, such as /etc/shadow, could be read too.
_ETC = (
    *("alternatives", "ca-certificates", "debian_version", "fonts", "group", "hosts", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "locale.alias", "localtime", "magic", "mime.types", "nsswitch.conf", "os-release", "passwd"),
    *("perl", "pki", "protocols", "R", "resolv.conf", "services", "ssl", "terminfo", "timezone"),
)
_ETC_PATTERNS = ("java*", "python3*")
_SHARED_MEMORY_BYTES = 1 << 30
_TEMPORARY_BYTES = 1 << 30
_THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON", "VECLIB", "BLIS")


@dataclass(frozen=True, slots=True)
class Room:
    """What one run has.

    Attributes:
        directory: Where it works, and all that it can write to.
        reads: Files and directories that it may read besides the system's.
        writes: Directories that it may also write to: that of a database of its own.
        network: Whether it may use the network.
    """

    directory: Path
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    network: bool = False


def confines(choice: str, plugin: str) -> bool:
    """Return whether a plugin is put into a sandbox.

    Raises:
        InvalidInputError: there is no such choice.
        PluginError: it must be, and cannot be here.
    """
    if choice not in get_args(SandboxChoice):
        known = ", ".join(get_args(SandboxChoice))
        raise InvalidInputError(Problem(f"{choice!r} is no sandbox: use one of {known}", "sandbox"))
    wrong = "" if choice == "none" else what_prevents_it()
    if wrong and choice == "bwrap":
        raise PluginError(plugin, f"it cannot be confined here: {wrong}; {REMEDY}", "", FailureClass.MISSING_PROGRAM)
    return choice != "none" and not wrong


@cache
def what_prevents_it() -> str:
    """Return why there is no sandbox on this machine; empty if there is. Found out once a process."""
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    command = sandboxed(["true"], Room(Path(os.devnull)))
    try:
        tried = subprocess.run(command, capture_output=True, timeout=20, check=False, env={"PATH": os.defpath})
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not work: {error}"
    return f"bwrap does not work: {tried.stderr.decode('utf-8', 'replace').strip()}" if tried.returncode else ""


def confinement_check() -> tuple[bool, str]:
    """Return whether plugins are confined on this machine, and how, or why not."""
    if wrong := what_prevents_it():
        return False, f"they get a clean environment and limits, but may read and write what we may: {wrong}"
    return True, "each in a sandbox of its own, made by bubblewrap"


def clean_environment(directory: Path, threads: int, python: Path | None = None) -> dict[str, str]:
    """Return all variables of a plugin: of ours it sees only PATH, as the others may hold keys.

    The programs beside its Python, those of its environment, go before others.
    """
    scratch, path = str(directory / "tmp"), os.environ.get("PATH", os.defpath)
    return {
        "PATH": f"{python.parent}{os.pathsep}{path}" if python else path,
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        # Sets and dictionaries of Python in the same order each time, so that equal inputs give equal outputs.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        **{f"{library}_NUM_THREADS": str(threads) for library in _THREADS},
    }


def sandboxed(command: Iterable[str], room: Room) -> list[str]:
    """Return the command that runs another one in a sandbox."""
    network = ["--share-net"] if room.network else []
    words = ["bwrap", "--unshare-all", *network, "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    words += ["--die-with-parent", "--new-session"]
    for path in map(Path, _SYSTEM):
        words += _mounted(path)
    for path in _etc():
        words += ["--ro-bind-try", str(path.resolve()), str(path)]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(_SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108 - its own
    words += ["--size", str(_TEMPORARY_BYTES), "--tmpfs", "/tmp"]  # noqa: S108 - its own
    for hidden in _hidden():
        words += ["--tmpfs", str(hidden), "--remount-ro", str(hidden)]
    for path in room.reads:
        words += ["--ro-bind", str(path.resolve()), str(path.absolute())]
    for path in (room.directory, *room.writes):
        if path.is_dir():
            words += ["--bind", str(path), str(path), "--chdir", str(room.directory)]
    # Without capabilities root is still the owner of /proc/sys, and so may write settings of the whole machine there.
    # What is left of the root directory and of /dev is in memory, which nobody counts.
    return [*words, "--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/", "--", *command]


def _mounted(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _etc() -> Iterator[Path]:
    etc = Path("/etc")
    yield from (etc / name for name in _ETC)
    for pattern in _ETC_PATTERNS:
        yield from sorted(etc.glob(pattern))


def _hidden() -> Iterator[Path]:
    """Yield directories of ours that are below one of the system's."""
    for path in dict.fromkeys((home().resolve(), Path.home().resolve())):
        above = [Path(system) for system in _SYSTEM if not Path(system).is_symlink()]
        if any(path.is_relative_to(system) for system in above) and path.is_dir():
            yield path


def prefixes_of(python: Path) -> Iterator[Path]:
    """Yield the directories that a Python needs: that of its environment, and of the Pythons that it links to."""
    python = python.absolute()
    seen = {python}
    while True:
        prefix = python.parent.parent
        if not _is_of_system(prefix):
            yield prefix
        settings = prefix / "pyvenv.cfg"
        base = re.search(r"(?m)^home\s*=\s*(.+?)\s*$", settings.read_text("utf-8")) if settings.is_file() else None
        after = Path(base[1]) / python.name if base else python.resolve()
        if after in seen:
            break
        seen.add(after)
        python = after
    real = python.resolve()
    if real not in seen and not _is_of_system(real):
        yield real.parent.parent


def place_of(program: str, path: str) -> Iterator[Path]:
    """Yield what a program needs that is not the system's: its directory, or the whole package where that is known."""
    found = shutil.which(program, path=path)
    for place in dict.fromkeys((Path(found).absolute(), Path(found).resolve())) if found else ():
        if place.is_relative_to(_PACKAGES) and len(place.parts) > len(_PACKAGES.parts) + 1:
            yield Path(*place.parts[: len(_PACKAGES.parts) + 1])
        elif not _is_of_system(place):
            prefix = place.parent.parent  # as Conda, or an environment of Python, has it
            yield prefix if any((prefix / mark).exists() for mark in ("conda-meta", "pyvenv.cfg")) else place.parent


def _is_of_system(path: Path) -> bool:
    hidden = tuple(_hidden())
    return any(path.is_relative_to(system) for system in _SYSTEM) and not any(
        path.is_relative_to(one) for one in hidden
    )


def default_python() -> Path:
    """Return the Python of scripts that have no environment: the one that ours is made from, without our packages."""
    return Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def database_room(url: str, *, network: bool, plugin: str) -> tuple[Path, ...]:
    """Return the directories that a plugin needs to reach its database.

    Raises:
        PluginError: it is on another machine, and the plugin has no network.
    """
    if not url:
        return ()
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return (Path(parts.path.removeprefix("/") if parts.path.startswith("//") else parts.path).parent,)
    sockets = parse_qs(parts.query).get("host", [])
    if not sockets and not network:
        reason = "its database is behind the network: write network = true under [run], or use SQLite"
        raise PluginError(plugin, reason, "", FailureClass.NETWORK)
    return tuple(Path(host) for host in sockets if host.startswith("/"))
