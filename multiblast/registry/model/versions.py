"""Version words: what ``${{LATEST}}``, ``${{PATCH}}`` and the others stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from semver import Version

from multiblast.errors import InvalidInputError

VERSION_WORDS = ("LATEST", "PATCH", "MINOR", "MAJOR", "BUILD", "PRERELEASE")
_WORD = re.compile(r"\$\{\{\s*([A-Z]+)\s*\}\}")
_DIGITS = re.compile(r"(\d+)")


def is_version(text: str) -> bool:
    """Tell whether ``text`` is a strict semantic version."""
    return Version.is_valid(text)


def version_word(text: str) -> str:
    """Return the version word that ``text`` is; empty if it is none."""
    match = _WORD.fullmatch(text.strip())
    return match[1] if match and match[1] in VERSION_WORDS else ""


def highest(versions: Iterable[str]) -> str:
    """Return the highest of some versions; empty if there is none.

    Versions that differ in their build only, which semver calls equal, are
    ordered by the build.
    """
    return max(versions, key=_order, default="")


def _order(text: str) -> tuple[Version, list[tuple[int, int | str]]]:
    version = Version.parse(text)
    parts = [part for part in _DIGITS.split(version.build or "") if part]
    return version, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def resolve_version(text: str, existing: Iterable[str], *, writing: bool) -> str:
    """Return the version that a configuration means.

    Args:
        text: A version, or a version word.
        existing: The versions there are.
        writing: Whether something new is to have it; else it must exist.

    Raises:
        InvalidInputError: it is neither, or what is to be read does not exist.
    """
    versions = sorted(existing)
    word = version_word(text)
    if not word:
        if not is_version(text):
            words = ", ".join(f"${{{{{name}}}}}" for name in VERSION_WORDS)
            raise InvalidInputError(f"{text!r} is no version: write three numbers, as in 1.0.0, or one of {words}")
        if not writing and text not in versions:
            raise InvalidInputError(f"there is no version {text}; there is {', '.join(versions) or 'none'}")
        return text
    latest = highest(versions)
    if word == "LATEST":
        if not latest:
            raise InvalidInputError("there is no version yet")
        return latest
    if not writing:
        raise InvalidInputError(f"${{{{{word}}}}} names a version that is yet to be written: read ${{{{LATEST}}}}")
    return str(_next(word, Version.parse(latest or "0.0.0")))


def _next(word: str, latest: Version) -> Version:
    if word == "BUILD":
        return latest.bump_build()
    if word == "PRERELEASE":
        return latest.bump_prerelease() if latest.prerelease else latest.bump_patch().bump_prerelease()
    if word == "PATCH":
        # By semver's own rule the patch after 1.0.1-rc.1 is 1.0.1.
        return latest.next_version("patch")
    return latest.bump_minor() if word == "MINOR" else latest.bump_major()
