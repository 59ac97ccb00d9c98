"""Licences of plugins, of the packages in their environments, and of their tools."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from multiblast.errors import InvalidInputError
from multiblast.plugins.environments import Environments
from multiblast.plugins.plugin import Plugin

DEBIAN = Path("/usr/share/doc")
UNKNOWN = "unknown"

_CLASSIFIERS = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "The Unlicense (Unlicense)": "Unlicense",
}
_GNU = re.compile(r"([al]?gpl)-([0-9])(\.[0-9])?(\+|-or-later|-only)?")
_LONGEST_NAME = 100  # a longer one is the text of a licence


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of one thing.

    Attributes:
        kind: ``plugin``, ``package`` or ``tool``.
        name: Its name, with its version if that is known.
        licence: An SPDX expression, or what its makers call it; ``unknown`` if they do not say.
        plugins: The plugins that use it.
    """

    kind: str
    name: str
    licence: str
    plugins: tuple[str, ...]


def licences(plugins: Iterable[Plugin], environments: Environments) -> tuple[list[Licence], list[str]]:
    """Return the licences of plugins and all that they use, and the plugins whose environment is not made yet."""
    found: dict[tuple[str, str, str], list[str]] = {}
    unmade: list[str] = []
    for plugin in plugins:
        try:
            environment = environments.find(plugin)
        except InvalidInputError:
            environment = None
        if environment is None:
            unmade.append(plugin.identifier)
        packages = environment.packages if environment else None
        for one in (*_of_plugin(plugin), *_of_packages(packages)):
            found.setdefault(one, []).append(plugin.identifier)
    rows = [Licence(*key, tuple(dict.fromkeys(users))) for key, users in found.items()]
    order = ("plugin", "package", "tool")
    return sorted(rows, key=lambda row: (order.index(row.kind), row.name)), unmade


def is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Return whether a licence is among those that are allowed; of several joined by OR, one has to be.

    Names are those of SPDX in any case; Debian's ``GPL-2+`` and ``GPL-2.0-or-later`` are the same.
    """
    if not allowed:
        return True
    names = {_normal(name) for name in allowed}
    # As one name first: "Historical Permission Notice and Disclaimer" is no expression.
    return _normal(licence) in names or _Expression(licence, names).holds()


class _Expression:
    """An SPDX expression, read from the left: OR of ANDs of names or parentheses."""

    def __init__(self, text: str, names: set[str]) -> None:
        self._words, self._names = re.findall(r"[()]|[^\s(),]+", text), names

    def holds(self) -> bool:
        found = self._any()
        return found and not self._words

    def _any(self) -> bool:
        found = self._all()
        while self._next("or"):
            found = self._all() or found  # read it in any case
        return found

    def _all(self) -> bool:
        found = self._one()
        while self._next("and"):
            found = self._one() and found
        return found

    def _one(self) -> bool:
        if self._next("("):
            found = self._any()
            return self._next(")") and found
        name = []
        while self._words and self._words[0].casefold() not in {"or", "and", "(", ")"}:
            name.append(self._words.pop(0))
        return _normal(" ".join(name)) in self._names

    def _next(self, word: str) -> bool:
        is_next = bool(self._words) and self._words[0].casefold() == word
        if is_next:
            self._words.pop(0)
        return is_next


def _normal(name: str) -> str:
    plain = " ".join(name.casefold().split()).removesuffix(" license").removesuffix(" licence")
    if gnu := _GNU.fullmatch(plain):
        suffix = "-or-later" if gnu[4] in {"+", "-or-later"} else "-only"
        return f"{gnu[1]}-{gnu[2]}{gnu[3] or '.0'}{suffix}"
    return plain


def _of_plugin(plugin: Plugin) -> Iterator[tuple[str, str, str]]:
    yield "plugin", plugin.identifier, plugin.description.license or UNKNOWN
    tool = plugin.description.tool
    if tool and tool.debian:
        yield "tool", tool.debian, _of_debian(tool.debian)


def _of_packages(packages: Path | None) -> Iterator[tuple[str, str, str]]:
    if packages is None:
        return
    for one in distributions(path=[str(packages)]):
        yield "package", f"{one.metadata['Name']} {one.version}", _of_package(one)


def _of_package(distribution: Distribution) -> str:
    facts = distribution.metadata.json
    if expression := facts.get("license_expression"):
        return str(expression)
    classifiers = [text.rpartition(" :: ")[2] for text in facts.get("classifier", ()) if "License ::" in text]
    named = [_CLASSIFIERS.get(text, text) for text in classifiers if text != "OSI Approved"]
    stated = " ".join(str(facts.get("license", "")).split())
    if len(stated) <= _LONGEST_NAME and stated.casefold() not in {"", "unknown"} and len(named) != 1:
        return stated
    return " AND ".join(named) or UNKNOWN


def _of_debian(package: str) -> str:
    """Return what Debian's copyright file says of the program itself."""
    try:
        text = (DEBIAN / package / "copyright").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return UNKNOWN
    paragraphs = re.split(r"\n\s*\n", text)
    of_all = [one for one in paragraphs if re.search(r"(?m)^Files:\s*\*\s*$", one)]
    for paragraph in of_all or paragraphs:
        if found := re.search(r"(?m)^License:[ \t]*(\S.*)$", paragraph):
            return found[1].strip()
    return UNKNOWN
