"""Versions of BLAST+: which are supported, which were tested, and how they compare."""

from __future__ import annotations

TESTED_VERSIONS = frozenset({"2.12.0+", "2.16.0+", "2.17.0+"})
"""Versions of BLAST+ that the whole test suite was run with; adding one begins here."""

OLDEST_VERSION = "2.12.0"
"""The first version of BLAST+ that is supported."""


def version_numbers(version: str) -> tuple[int, ...]:
    """Return a version of BLAST+, such as ``2.12.0+``, as numbers, which can be compared."""
    return tuple(int(part) for part in version.rstrip("+").split(".") if part)


def remedy_of_old(version: str) -> str:
    """Return what to do about a version of BLAST+ that is older than those that are supported; empty for the others."""
    return f"install {OLDEST_VERSION} or later" if version_numbers(version) < version_numbers(OLDEST_VERSION) else ""


def version_note(version: str) -> str:
    """Return what a user must know of a version that reports were not compared with; nothing of the others."""
    if version in TESTED_VERSIONS:
        return ""
    tested = ", ".join(sorted(TESTED_VERSIONS, key=version_numbers))
    return (
        f"BLAST+ {version} is not among the versions that reports were compared with ({tested}): "
        "`multiblast exactness --quick` compares some"
    )
