"""What users send in the API's own form, read and checked; an `InvalidInputError` has every problem, by key.

``{"jobConfig": {"site", "targets": [{"targetDisplayName", "targetFile"}], "query"?, "addToUserCollection"?},
"blastConfig": {"tool", …}, "formats"?, "userMeta"?: {"summary"?, "description"?}}``
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from multiblast.errors import InvalidInputError, Problem, collecting, under
from multiblast.jobs import TargetName, summary_problems
from multiblast.options import Options, options_from_config
from multiblast.reports import Formatting
from multiblast.search import StoreKey, Submission

_Name = Annotated[str, Field(pattern=r"\S")]
_Id = Annotated[_Name, AfterValidator(str.lower)]  # in any case, as in addresses
_MESSAGES = {
    "missing": "this is needed",
    "extra_forbidden": "there is no such field",
    "string_pattern_mismatch": "a text is needed here, not an empty one",
    "too_long": "these are too many: at most 20",
    "too_short": "a list of at least one is needed here",
}


class _Part(BaseModel):
    """A part of a request, with no other fields than its own."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _Meta(_Part):
    summary: str | None = None
    description: str | None = None


class _Target(_Part):
    target_display_name: _Name
    target_file: _Name


class _Job(_Part):
    site: _Name
    targets: list[_Target] = Field(min_length=1)
    query: str | None = None
    add_to_user_collection: bool | None = None


class _Query(_Part):
    job_config: _Job
    blast_config: dict[str, Any]
    formats: list[str] | None = Field(default=None, max_length=20)
    user_meta: _Meta | None = None


class _Report(_Part):
    query_job_id: _Id = Field(alias="queryJobID")
    blast_config: dict[str, Any] | None = None
    add_to_user_collection: bool | None = None
    user_meta: _Meta | None = None


class _Plugin(_Part):
    plugin: _Name
    inputs: dict[str, str | list[str]] | list[str] | None = None
    parameters: dict[str, str | bool | int | float | None] | None = None
    add_to_user_collection: bool | None = None
    user_meta: _Meta | None = None


class _Update(_Part):
    user_meta: _Meta


_PartT = TypeVar("_PartT", _Query, _Report, _Plugin, _Update)


def read_create_query(config: Mapping[str, Any], query: str | bytes | Path | StoreKey = "") -> tuple[Submission, bool]:
    """Read a request for a query job.

    Args:
        config: The request.
        query: The sequences, if they do not stand in ``jobConfig.query``; exactly one must be given.

    Returns:
        The submission, without its owner, and whether its owner's list gets it.
    """
    problems: list[Problem] = []
    body = _read(_Query, config, problems)
    options: Options | None = None
    if isinstance(blast_config := config.get("blastConfig"), Mapping):  # else reported already
        with collecting(problems, "blastConfig.tool"):
            options = options_from_config(blast_config)
    if body is None or options is None:
        raise InvalidInputError(problems)
    of_formats: list[Problem] = []
    for text in body.formats or ():  # the run of the job makes these reports
        with collecting(of_formats):
            Formatting.read_outfmt(text).check_program(options.program)
    problems += under("formats", of_formats)
    job, meta = body.job_config, body.user_meta or _Meta()
    text = job.query or ""
    is_given = isinstance(query, Path) or bool(query.strip())
    if bool(text.strip()) == is_given and (is_given or not options.profile):
        reason = (
            "give the query either here or as a file, and not both" if is_given else "give a query, here or as a file"
        )
        problems.append(Problem(reason, "jobConfig.query"))
    if problems:
        raise InvalidInputError(problems)
    targets = tuple(TargetName(target.target_display_name, target.target_file) for target in job.targets)
    submission = Submission(
        text or query, job.site, targets, options, summary=meta.summary or "", description=meta.description or ""
    )
    return submission, job.add_to_user_collection is not False


def read_create_report(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request for a report: ``{"queryJobID", "blastConfig"?, "addToUserCollection"?, "userMeta"?}``.

    Returns:
        What `multiblast.actions.reports.Reports.submit` takes.
    """
    problems: list[Problem] = []
    body = _read(_Report, config, problems)
    formatting: Formatting | None = None
    options = config.get("blastConfig") or {}
    if isinstance(options, Mapping):
        others = {name: value for name, value in options.items() if name != "formatType"}
        try:
            formatting = Formatting.read(options.get("formatType", 0), options=others)
        except InvalidInputError as error:
            problems += under("blastConfig", error.problems)
    if problems or body is None or formatting is None:
        raise InvalidInputError(problems)
    meta = body.user_meta or _Meta()
    return {
        "query_job_id": body.query_job_id,
        "formatting": formatting,
        "add_to_collection": body.add_to_user_collection is not False,
        "summary": meta.summary or "",
        "description": meta.description or "",
    }


def read_create_plugin(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read a request for a plugin job: ``{"plugin", "inputs"?, "parameters"?, "addToUserCollection"?, "userMeta"?}``.

    Returns:
        What `multiblast.actions.plugin_jobs.PluginJobs.submit` takes.
    """
    problems: list[Problem] = []
    body = _read(_Plugin, config, problems)
    if problems or body is None:
        raise InvalidInputError(problems)
    meta, inputs = body.user_meta or _Meta(), body.inputs or []
    if isinstance(inputs, dict):
        inputs = {port: [texts] if isinstance(texts, str) else texts for port, texts in inputs.items()}
    return {
        "plugin": body.plugin,
        "inputs": inputs,
        "parameters": body.parameters or {},
        "add_to_collection": body.add_to_user_collection is not False,
        "summary": meta.summary or "",
        "description": meta.description or "",
    }


def read_update(config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Read a request to change what a user says about a job, ``{"userMeta": {…}}`` or what is in it alone.

    Returns:
        The summary and the description; None for what stays as it is.
    """
    problems: list[Problem] = []
    body = _read(_Update, config if "userMeta" in config else {"userMeta": config}, problems)
    if problems or body is None:
        raise InvalidInputError(problems)
    return body.user_meta.summary, body.user_meta.description


def renamed(error: InvalidInputError) -> InvalidInputError:
    """Return the problems of recording a submission under the keys of a request in the API's form."""
    names = {"": "query", "query_file": "query"}
    problems = [replace(problem, key=names.get(problem.key, problem.key)) for problem in error.problems]
    return InvalidInputError(under("jobConfig", problems))


def _read(model: type[_PartT], config: Mapping[str, Any], problems: list[Problem]) -> _PartT | None:
    """Return a request; None and the reasons in ``problems`` if it has another form."""
    meta = config.get("userMeta")
    if isinstance(meta, Mapping) and isinstance(summary := meta.get("summary"), str):
        problems += summary_problems(summary, "userMeta.summary")
    try:
        return model.model_validate(config)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            message = _MESSAGES.get(wrong["type"]) or f"{wrong['msg']}, and this is {wrong['input']!r:.60}"
            problems.append(Problem(message, _key(wrong["loc"])))
    return None


def _key(location: Iterable[str | int]) -> str:
    """Return a place in a request: ``jobConfig.targets[0].targetFile``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
