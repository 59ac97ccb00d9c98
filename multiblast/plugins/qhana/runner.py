"""QHAna's plugin runner and folders of plugins for it: where they are, and what they require."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from multiblast.errors import InvalidInputError, Problem
from multiblast.plugins.git_sources import Checkouts, GitSource
from multiblast.plugins.requirements import PROJECT

REPOSITORY = "git+https://github.com/UST-QuAntiL/qhana-plugin-runner.git"
"""Where the runner is, for plugins that come without it."""

PACKAGE = "qhana_plugin_runner"
_BASE = "QHAnaPluginBase"
_CARET = re.compile(r"\^\s*([0-9][0-9a-z.]*)")
_TILDE = re.compile(r"~\s*([0-9][0-9a-z.]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, and where it came from.

    Attributes:
        origin: A path, or a git line.
        commit: Of a git repository.
    """

    path: Path
    origin: str
    commit: str = ""

    @classmethod
    def find(cls, text: str, directory: Path | None = None) -> Place:
        """Return the folder that a path or a git line names; a repository is fetched as it is now, and pinned.

        Raises:
            InvalidInputError: there is no such folder.
            GitError: the repository cannot be fetched.
        """
        if text.startswith("git+"):
            source = GitSource.parse(text)
            path, commit = Checkouts(directory).update(source)
            found = cls(path, str(source), commit)
        else:
            path = Path(text).expanduser().absolute()
            found = cls(path, str(path))
        if not found.path.is_dir():
            raise InvalidInputError(Problem("there is no such folder", text))
        return found

    def runner(self) -> Place | None:
        """Return the place of the runner that these plugins are beside, if they are."""
        for above in (self.path, *self.path.parents):
            if (above / PACKAGE / "__init__.py").is_file():
                return Place(above, self.origin, self.commit)
        return None

    def plugins(self) -> list[Path]:
        """Return modules and packages with plugins, in order, as QHAna finds them in folders, and in those below."""
        if _is_package(self.path):
            return [self.path] if names_plugins(self.path) else []
        return sorted(_modules(self.path))


def _modules(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or path.is_symlink() or path.name == PACKAGE:
            continue
        if path.suffixes == [".py"] or _is_package(path):
            if names_plugins(path):
                yield path
        elif path.is_dir():
            yield from _modules(path)


def _is_package(path: Path) -> bool:
    return (path / "__init__.py").is_file()


def names_plugins(path: Path) -> bool:
    """Return whether a module or package speaks of QHAna's class of plugins."""
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    return any(_BASE in file.read_text(encoding="utf-8", errors="replace") for file in files)


def requirements_of_runner(root: Path) -> tuple[list[str], str]:
    """Return the packages that the runner requires, and the Pythons, as pip writes them, from its ``pyproject.toml``.

    Its ranges are cut at the minor versions that its ``poetry.lock`` has, with which it was tried: later ones of
    SQLAlchemy are in its ranges, and do not work with it.

    Raises:
        InvalidInputError: they cannot be read.
    """
    path = root / PROJECT
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        poetry = table.get("tool", {}).get("poetry", {}).get("dependencies", {})
        tried = _locked(root / "poetry.lock")
        lines = [_line(name, wanted, tried) for name, wanted in poetry.items() if name != "python"]
        lines += table.get("project", {}).get("dependencies", [])
        python = _range(str(poetry.get("python", "")) or table.get("project", {}).get("requires-python", "*"))
        return [line for line in lines if line], python
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInputError(Problem(f"what QHAna's runner requires cannot be read: {error}", str(path))) from error


def _line(name: str, wanted: Any, tried: Mapping[str, Version]) -> str:
    """Return a requirement of Poetry's as pip writes it; empty if it is optional."""
    facts = wanted if isinstance(wanted, dict) else {"version": wanted}
    if facts.get("optional"):
        return ""
    extras = f"[{','.join(facts['extras'])}]" if facts.get("extras") else ""
    bounds = _range(str(facts["version"]))
    if (found := tried.get(name.lower().replace("_", "-"))) is not None:
        bounds = ",".join(filter(None, (bounds, f"<{found.major}.{found.minor + 1}")))
    return f"{name}{extras}{bounds}"


def _range(text: str) -> str:
    """Return versions as pip writes them, of what Poetry writes as ``^1.2``, ``~1.2``, ``*``, ``1.2`` or a range."""
    text = text.strip()
    if caret := _CARET.fullmatch(text):
        numbers = [int(number) for number in re.findall(r"\d+", caret[1])]
        first = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
        return f">={caret[1]},<{'.'.join(map(str, [*numbers[:first], numbers[first] + 1]))}"
    if tilde := _TILDE.fullmatch(text):
        numbers = [int(number) for number in re.findall(r"\d+", tilde[1])][:2]
        return f">={tilde[1]},<{'.'.join(map(str, [*numbers[:-1], numbers[-1] + 1]))}"
    if text in {"", "*"}:
        return ""
    return f"=={text}" if text[0].isdigit() else text.replace(" ", "")


def _locked(path: Path) -> dict[str, Version]:
    found = {}
    with suppress(FileNotFoundError):
        for one in tomllib.loads(path.read_text(encoding="utf-8")).get("package", []):
            with suppress(InvalidVersion):
                found[str(one["name"]).lower()] = Version(one["version"])
    return found
