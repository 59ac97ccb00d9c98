"""What users send in the design's own form, read and checked for its shape.

``{"jobConfig": {"site", "targets": [{"targetDisplayName", "targetFile"}], "query"?, "addToUserCollection"?},
"blastConfig": {"tool", …}, "userMeta"?: {"summary"?, "description"?}}``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from multiblast.errors import InvalidInputError, MultiblastError, Problem
from multiblast.jobs import TargetName, summary_problems
from multiblast.options import Options, options_from_config
from multiblast.reports import Formatting
from multiblast.search import StoreKey, Submission

__all__ = ["CreateReport", "read_create_query", "read_create_report", "renamed"]


@dataclass(frozen=True, slots=True)
class CreateReport:
    """A request for a report."""

    query_job_id: str
    request: Formatting
    summary: str = ""
    description: str = ""
    add_to_collection: bool = True


class _Shape:
    """Collects what is wrong with the shape of a request while reading it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def note(self, message: str, key: str) -> None:
        self.problems.append(Problem(message, key))

    def part(self, value: Any, key: str, known: tuple[str, ...] = (), *, required: bool = True) -> Mapping[str, Any]:
        """Return an object of the request; an empty one if it is missing or something else."""
        if value is None and not required:
            return {}
        if not isinstance(value, Mapping):
            self.note(f"an object is needed here, not {_kind(value)}", key)
            return {}
        for name in value:
            if known and name not in known:
                self.note(f"there is no such field: use {', '.join(known)}", f"{key}.{name}" if key else str(name))
        return value

    def text(self, value: Any, key: str, *, required: bool = False) -> str:
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            self.note(f"a text is needed here, not {_kind(value) if value != '' else 'an empty one'}", key)
            return ""
        return value

    def switch(self, value: Any, key: str, *, default: bool) -> bool:
        if value is None:
            return default
        if not isinstance(value, bool):
            self.note(f"true or false is needed here, not {value!r}", key)
            return default
        return value

    def meta(self, value: Any) -> tuple[str, str]:
        meta = self.part(value, "userMeta", ("summary", "description"), required=False)
        summary = self.text(meta.get("summary"), "userMeta.summary")
        self.problems += summary_problems(summary, "userMeta.summary")
        return summary, self.text(meta.get("description"), "userMeta.description")


def read_create_query(config: Mapping[str, Any], query: str | bytes | Path | StoreKey = "") -> tuple[Submission, bool]:
    """Read a request for a query job.

    Args:
        config: The request.
        query: The sequences, if they do not stand in ``jobConfig.query``; exactly one must be given.

    Returns:
        The submission, without its owner, and whether its owner's list gets it.

    Raises:
        InvalidInputError: with every problem, by key.
    """
    shape = _Shape()
    body = shape.part(config, "", ("jobConfig", "blastConfig", "userMeta"))
    job = shape.part(body.get("jobConfig"), "jobConfig", ("site", "targets", "query", "addToUserCollection"))
    site = shape.text(job.get("site"), "jobConfig.site", required=True)
    targets = _targets(shape, job.get("targets"))
    text = shape.text(job.get("query"), "jobConfig.query")
    add = shape.switch(job.get("addToUserCollection"), "jobConfig.addToUserCollection", default=True)
    summary, description = shape.meta(body.get("userMeta"))
    options = _options(shape, body.get("blastConfig"))
    if bool(text.strip()) == _is_given(query) and (text.strip() or options is None or not options.profile):
        shape.note("give the query either here or as a file, and not both", "jobConfig.query")
    if shape.problems or options is None:
        raise InvalidInputError(shape.problems)
    return Submission(text or query, site, targets, options, "", summary, description), add


def read_create_report(config: Mapping[str, Any]) -> CreateReport:
    """Read a request for a report: ``{"queryJobID", "blastConfig"?, "addToUserCollection"?, "userMeta"?}``.

    Raises:
        InvalidInputError: with every problem, by key.
    """
    shape = _Shape()
    body = shape.part(config, "", ("queryJobID", "blastConfig", "addToUserCollection", "userMeta"))
    job_id = shape.text(body.get("queryJobID"), "queryJobID", required=True)
    add = shape.switch(body.get("addToUserCollection"), "addToUserCollection", default=True)
    summary, description = shape.meta(body.get("userMeta"))
    options = dict(shape.part(body.get("blastConfig"), "blastConfig", required=False))
    request: Formatting | None = None
    try:
        request = Formatting.read(options.pop("formatType", 0), options=options)
    except InvalidInputError as error:
        shape.problems += _under("blastConfig", error)
    if shape.problems or request is None:
        raise InvalidInputError(shape.problems)
    return CreateReport(job_id, request, summary, description, add)


def renamed(error: InvalidInputError) -> InvalidInputError:
    """Return the problems of recording a submission under the keys of a request in the design's form."""
    names = {"": "jobConfig.query", "query_file": "jobConfig.query"}

    def key(problem: Problem) -> str:
        return names.get(problem.key, f"jobConfig.{problem.key}")

    return InvalidInputError([replace(problem, key=key(problem)) for problem in error.problems])


def _options(shape: _Shape, config: Any) -> Options | None:
    found = shape.part(config, "blastConfig")
    if not isinstance(config, Mapping):
        return None
    try:
        return options_from_config(found)
    except InvalidInputError as error:
        shape.problems += error.problems
    except MultiblastError as error:
        shape.note(str(error), "blastConfig.tool")
    return None


def _targets(shape: _Shape, targets: Any) -> tuple[TargetName, ...]:
    if not isinstance(targets, list) or not targets:
        shape.note("a list of at least one target is needed here", "jobConfig.targets")
        return ()
    names = []
    for number, target in enumerate(targets):
        key = f"jobConfig.targets[{number}]"
        part = shape.part(target, key, ("targetDisplayName", "targetFile"))
        if part:
            display = shape.text(part.get("targetDisplayName"), f"{key}.targetDisplayName", required=True)
            names.append(TargetName(display, shape.text(part.get("targetFile"), f"{key}.targetFile", required=True)))
    return tuple(names)


def _is_given(query: str | bytes | Path | StoreKey) -> bool:
    return isinstance(query, Path) or bool(query.strip())


def _under(key: str, error: InvalidInputError) -> list[Problem]:
    return [replace(problem, key=f"{key}.{problem.key}" if problem.key else key) for problem in error.problems]


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", bool: "a switch"}.get(type(value), f"{value!r}"[:60])
