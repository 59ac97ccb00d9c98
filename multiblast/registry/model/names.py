"""Names and versions of data products: which there may be, and what ``${{LATEST}}`` and the other words stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from semver import Version

from multiblast.errors import InvalidInputError, Problem

WILDCARDS = set("[]?*")
_LONGEST_NAME, _LONGEST_PART, _LONGEST_EXTENSION = 1000, 200, 50  # characters; bytes of a file's name; characters
_EXTENSION = re.compile(r"(?!\.)[\w.+ -]*")  # a file's name has it behind a dot
_PART_OF_TYPE = re.compile(r"(?!\.{1,2}$)[\w.+ :~@%-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WORD = re.compile(r"\$\{\{\s*([A-Z]+)\s*\}\}")
_DIGITS = re.compile(r"(\d+)")

# What each word for a version that is yet to be written makes of the latest one.
_NEXT: dict[str, Callable[[Version], Version]] = {
    "PATCH": lambda latest: latest.next_version("patch"),  # by semver's own rule it is 1.0.1 after 1.0.1-rc.1
    "MINOR": Version.bump_minor,
    "MAJOR": Version.bump_major,
    "BUILD": Version.bump_build,
    "PRERELEASE": lambda latest: (latest if latest.prerelease else latest.bump_patch()).bump_prerelease(),
}
VERSION_WORDS = ("LATEST", *_NEXT)


@dataclass(frozen=True, slots=True)
class ProductName:
    """Namespace, name and version of a data product."""

    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}@{self.version}"

    def check(self) -> None:
        """Make sure that it can be recorded: see `check_name`."""
        check_namespace(self.namespace)
        check_name(self.name, "data_product")


def name_of_product(text: str) -> ProductName:
    """Read ``namespace:name@version``.

    Raises:
        InvalidInputError: it is not of that form.
    """
    namespace, colon, rest = text.partition(":")
    name, at, version = rest.rpartition("@")
    if not (colon and at and namespace and name and Version.is_valid(version)):
        raise InvalidInputError(f"{text!r} is no data product: write NAMESPACE:NAME@VERSION, as in rich:x/y@1.0.0")
    return ProductName(namespace, name, version)


def check_name(name: str, what: str) -> None:
    """Refuse a name that could be mistaken for a pattern, or for a path that leads elsewhere.

    Raises:
        InvalidInputError: it is empty or too long, or has one of ``[]?*``, a control character, or an empty or
            dotted part in it.
    """
    if WILDCARDS & set(name):
        raise InvalidInputError(Problem(f"{name!a} has one of []?* in it, which names must not have", what))
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or _CONTROL.search(name):
        raise InvalidInputError(Problem(f"{name!a} is no name: write words with single slashes between them", what))
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        reason = f"is longer than {_LONGEST_NAME} characters, or than {_LONGEST_PART} bytes between two slashes"
        raise InvalidInputError(Problem(f"{name[:60]!a}… {reason}: files could not be named so", what))


def check_namespace(name: str) -> None:
    """Refuse a namespace that is no name of one part: data products of ``a/b`` would lie among those of ``a``.

    Raises:
        InvalidInputError: see `check_name`.
    """
    check_name(name, "namespace")
    if "/" in name:
        raise InvalidInputError(Problem(f"{name!a} has a slash in it, which a namespace must not have", "namespace"))


def check_extension(extension: str) -> None:
    """Refuse a file type that could be more of a path than the end of a file's name.

    Raises:
        InvalidInputError: it has something else than letters, digits and ``.+-_`` in it.
    """
    if len(extension) > _LONGEST_EXTENSION or not _EXTENSION.fullmatch(extension):
        raise InvalidInputError(Problem(f"{extension[:60]!a} is no file type: write it as in csv", "file_type"))


def check_recorded_extension(extension: str) -> None:
    """Refuse what is no file type that anybody records; it may be the end of a web address, such as ``com/a/b``.

    DataPipeline.jl takes what is behind the last dot of a code repository's address for
    its file type. Such a type never becomes part of a path: see `usable_extension`.

    Raises:
        InvalidInputError: it is too long, or has empty or dotted parts or other letters.
    """
    if "/" not in extension:
        check_extension(extension)
    elif len(extension) > _LONGEST_PART or not all(map(_PART_OF_TYPE.fullmatch, extension.rstrip("/").split("/"))):
        raise InvalidInputError(Problem(f"{extension[:60]!a} is no file type: write it as in csv", "file_type"))


def usable_extension(extension: str) -> str:
    """Return what a file's name may end in, of whatever was recorded as its type; empty if that is no such end."""
    try:
        check_extension(extension)
    except InvalidInputError:
        return ""
    return extension


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
    """Return what a version or a version word means: for something new if ``writing``, else one of the existing.

    Raises:
        InvalidInputError: it is neither, or what is to be read does not exist.
    """
    versions = sorted(existing)
    word = version_word(text)
    if not word:
        if not Version.is_valid(text):
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
    return str(_NEXT[word](Version.parse(latest or "0.0.0")))
