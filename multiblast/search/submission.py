"""What a user sends, read and checked for its form; the recorder checks the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiblast.coupling import Reference, is_url
from multiblast.errors import InvalidInputError, Problem, collecting
from multiblast.files import named_file
from multiblast.ids import is_id
from multiblast.jobs import TargetName, summary_problems
from multiblast.options import Options, parse_options
from multiblast.search.profiles import IN_STORE
from multiblast.stores.base import check_key

_LONGEST_PROFILE = 64 << 20
_PROFILE = {"in_pssm", "inPSSM"}
_TARGET_PARTS = (2, 3)


class StoreKey(str):
    """The key of a FASTA file in the store."""

    __slots__ = ()


_Source = str | bytes | Path | StoreKey | Reference


@dataclass(frozen=True, slots=True)
class Submission:
    """What a user sends.

    Attributes:
        query: FASTA text, the path of a FASTA file, its key in the store or its URL; plain or gzipped. Nothing
            for a search with a profile, which holds the query it was made for.
        targets: The databases to search, by their registered names.
        owner: Who to link the job to; empty for nobody.
        summary, description: What the owner writes about it.
    """

    query: str | bytes | Path | StoreKey | Reference
    site: str
    targets: tuple[TargetName, ...]
    options: Options
    owner: str = ""
    summary: str = ""
    description: str = ""


def read_submission(  # noqa: PLR0913 - the fields of a form
    *,
    query: str = "",
    query_file: str | Path = "",
    site: str = "",
    targets: Iterable[str] = (),
    options: Options | Mapping[str, Any] | Iterable[str] = (),
    program: str = "blastp",
    user: str = "",
    summary: str = "",
    description: str = "",
    files_under: Path | None = None,
) -> Submission:
    """Read the fields of a form or the arguments of a script.

    Args:
        query: FASTA text.
        query_file: Instead of text: a path, ``store:KEY``, or the URL of a file that the policy lets us fetch.
        site: The site of targets that do not name theirs.
        targets: ``TARGET/DATABASE`` or ``SITE/TARGET/DATABASE`` each, all of one site.
        options: Typed options, or names and values for ``program``.
        program: The program, if the options are not typed.
        user: Who to link the job to.
        summary: One line about the job, at most 512 characters.
        description: More about it.
        files_under: The only directory that paths may lead into; None allows any path.

    Raises:
        InvalidInputError: with all problems, by field.
    """
    problems: list[Problem] = []
    source: _Source = ""
    names: list[TargetName] = []
    read: Options | None = None
    with collecting(problems, "program"):
        read = options if isinstance(options, Options) else parse_options(program, _given(options, files_under))
    with collecting(problems, "query_file"):
        source = _source(query, query_file, files_under, is_needed=read is None or not read.profile)
    with collecting(problems):
        site, names = _targets(site, targets)
    problems += summary_problems(summary)
    if problems or read is None:
        raise InvalidInputError(problems)
    return Submission(source, site, tuple(names), read, user, summary, description)


def _source(query: str, query_file: str | Path, files_under: Path | None, *, is_needed: bool) -> _Source:
    if bool(query.strip()) == bool(str(query_file)) and (query.strip() or is_needed):
        raise InvalidInputError(Problem("give either FASTA text or a file, and not both", "query"))
    if not str(query_file):
        return query
    if isinstance(query_file, str) and query_file.startswith(IN_STORE):
        return StoreKey(check_key(query_file.removeprefix(IN_STORE)))
    if isinstance(query_file, str) and is_url(query_file):
        reference = Reference.parse(query_file, "query_file")
        if reference.scheme == "data":
            return reference.data
        if reference.scheme != "file":
            return reference
        query_file = reference.path
    return named_file(query_file, "query_file", files_under)


def _given(options: Mapping[str, Any] | Iterable[str], files_under: Path | None) -> dict[str, Any] | list[str]:
    """Return options with the text of a profile in place of the path of its file."""
    if isinstance(options, Mapping):
        return {
            name: _profile_text(str(value), files_under) if name in _PROFILE and value else value
            for name, value in options.items()
        }
    pairs = (text.partition("=") for text in options)
    return [
        name + equals + (_profile_text(value, files_under) if name.strip().lstrip("-") in _PROFILE else value)
        for name, equals, value in pairs
    ]


def _profile_text(given: str, files_under: Path | None) -> str:
    if is_id(given) or given.startswith(IN_STORE) or "{" in given:
        return given
    path = named_file(given, "in_pssm", files_under, may_be_pipe=files_under is None)
    if path.stat().st_size > _LONGEST_PROFILE:
        raise InvalidInputError(Problem(f"{given!r} is larger than {_LONGEST_PROFILE >> 20} MiB", "in_pssm"))
    return path.read_text("utf-8", "replace")


def _targets(site: str, targets: Iterable[str]) -> tuple[str, list[TargetName]]:
    problems: list[Problem] = []
    names: list[TargetName] = []
    for number, target in enumerate(targets):
        parts = target.strip().split("/")
        if len(parts) not in _TARGET_PARTS:
            wanted = "write SITE/TARGET/DATABASE, or TARGET/DATABASE and the site apart"
            problems.append(Problem(f"{target!r} is no target: {wanted}", f"targets[{number}]"))
            continue
        own = site if len(parts) == _TARGET_PARTS[0] else parts[0]
        if site and own != site:
            problems.append(
                Problem(f"{target!r} is not of site {site!r}: one job searches one site", f"targets[{number}]")
            )
        site = site or own
        names.append(TargetName(parts[-2], parts[-1]))
    if names and not site:
        shown = f"{names[0].display}/{names[0].file}"
        problems.append(Problem(f"{shown!r} names no site: write SITE/TARGET/DATABASE", "targets[0]"))
    if problems:
        raise InvalidInputError(problems)
    return site, names
