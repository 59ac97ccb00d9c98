"""What the actions answer: the field names of the Multi-Blast design in JSON, ours in Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

from multiblast.database import Link, ReportJob
from multiblast.errors import (
    ConflictError,
    InvalidInputError,
    JobFailedError,
    LimitError,
    MultiblastError,
    NotAllowedError,
    NotFoundError,
    ObjectMissingError,
)


def _written(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


Time = Annotated[datetime, PlainSerializer(_written, when_used="json")]


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_camel, defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON, in the design's names; what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class UserMeta(Answer):
    """What a user notes about a job."""

    summary: str | None = None
    description: str | None = None

    @classmethod
    def of(cls, link: Link | None) -> UserMeta | None:
        """Return what was noted, None if nothing was."""
        if link is None or not (link.summary or link.description):
            return None
        return cls(summary=link.summary or None, description=link.description or None)


class CreatedQuery(Answer):
    """The id of a query job that was made or found."""

    query_job_id: str = Field(alias="queryJobID")


class CreatedReport(Answer):
    """The id of a report job that was made or found."""

    report_job_id: str = Field(alias="reportJobID")


class QueryItem(Answer):
    """A query job in a list."""

    query_job_id: str = Field(alias="queryJobID")
    site: str
    status: str
    created_on: Time
    user_meta: UserMeta | None = None


class QueryTarget(Answer):
    """A target of a query."""

    target_display_name: str
    target_file: str


class JobConfig(Answer):
    """Where a query is searched."""

    site: str
    targets: tuple[QueryTarget, ...]


class ChildItem(Answer):
    """One sequence of a query job; positions are 1-based, and equal sequences have the same id."""

    query_job_id: str = Field(alias="queryJobID")
    position: int
    status: str
    title: str


class QueryDetails(Answer):
    """A query job: the design's fields first and in its order, then more.

    Attributes:
        children: Its first sequences, if it has several.
        sub_jobs: Their ids alone, as clients of Multi-Blast 2.0 read them.
        parents: Jobs that the requester may read and that this is a sequence of.
        reason: Why it failed, was cancelled or goes no further.
        queue_position: Its place among the jobs that wait, 1-based.
        results_as_before: After an expiry: whether its results are byte for byte the same again.
    """

    query_job_id: str = Field(alias="queryJobID")
    status: str
    job_config: JobConfig
    blast_config: dict[str, Any]
    created_on: Time
    user_meta: UserMeta | None = None
    site: str
    sequences: int
    children: tuple[ChildItem, ...] | None = None
    sub_jobs: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None
    reason: str | None = None
    pinned: bool = False
    queue_position: int | None = None
    results_as_before: bool | None = None


class ReportItem(Answer):
    """A report job in a list."""

    report_job_id: str = Field(alias="reportJobID")
    query_job_id: str = Field(alias="queryJobID")
    status: str
    user_meta: UserMeta | None = None


class ReportDetails(ReportItem):
    """A report job."""

    blast_config: dict[str, Any]
    created_on: Time
    reason: str | None = None
    pinned: bool = False

    @classmethod
    def of(cls, job: ReportJob, meta: UserMeta | None, reason: str) -> ReportDetails:
        """Return a job with its configuration, in which BLAST+'s formats are numbers; ours have names."""
        format_type = str(job.formatting.get("formatType", 0))
        return cls(
            report_job_id=job.id,
            query_job_id=job.query_job_id,
            status=job.status,
            user_meta=meta,
            blast_config=job.formatting | {"formatType": int(format_type) if format_type.isdecimal() else format_type},
            created_on=job.created_at,
            reason=reason or None,
            pinned=job.pinned,
        )


class ReportListedFile(Answer):
    """A file of a report; ``size`` is in bytes."""

    name: str
    size: int


class CreatedPlugin(Answer):
    """The id of a plugin job that was made or found."""

    plugin_job_id: str = Field(alias="pluginJobID")


class PluginItem(Answer):
    """A plugin job in a list; the plugin as ``NAME@VERSION``."""

    plugin_job_id: str = Field(alias="pluginJobID")
    plugin: str
    status: str
    created_on: Time
    user_meta: UserMeta | None = None


class PluginFile(Answer):
    """A file or directory that a plugin made; ``size`` is in bytes."""

    name: str
    port: str
    size: int
    sha256: str
    data_type: str
    content_type: str
    directory: bool = False

    @classmethod
    def of(cls, output: Mapping[str, Any]) -> PluginFile:
        """Return an output as a job's row has it."""
        return cls(
            name=output["name"],
            port=output["port"],
            size=output["size"],
            sha256=output["sha256"],
            data_type=output["data"],
            content_type=output["content"],
            directory=output["directory"],
        )


class PluginStep(Answer):
    """A question of a plugin job, to a person (``form``) or to another plugin (its job); cleared once answered."""

    step_id: str
    title: str
    cleared: bool
    form: dict[str, Any] | None = None
    plugin_job_id: str | None = Field(default=None, alias="pluginJobID")

    @classmethod
    def of(cls, round_: Mapping[str, Any]) -> PluginStep:
        """Return the question with which a round of a job ended."""
        return cls(
            step_id=round_["step"],
            title=round_["title"],
            cleared=round_["answers"] is not None,
            form=round_["form"] or None,
            plugin_job_id=round_["job"] or None,
        )


class PluginDetails(PluginItem):
    """A plugin job.

    Attributes:
        inputs: What it takes in, as it was named, by port.
        parameters: Those that are not default; private ones are not shown.
        facts: What else decides what it makes: files, tool, environment; and where the plugin came from.
        progress: ``{value, start, target, unit}``, as the plugin reported last.
        outputs_as_before: After an expiry: whether its outputs are byte for byte the same again.
    """

    inputs: dict[str, list[str]]
    parameters: dict[str, Any]
    facts: dict[str, Any]
    steps: tuple[PluginStep, ...] = ()
    progress: dict[str, Any] | None = None
    log: str = ""
    outputs: tuple[PluginFile, ...] = ()
    started_on: Time | None = None
    finished_on: Time | None = None
    reason: str | None = None
    pinned: bool = False
    outputs_as_before: bool | None = None


class ProgramFailure(Answer):
    """One BLAST+ process that wrote to standard error or failed; its class is empty if it did not fail."""

    at: Time
    sequences: int
    exit_code: int
    failure_class: str
    stderr: str


class SequenceFailure(Answer):
    """A sequence that could not be searched."""

    query_job_id: str = Field(alias="queryJobID")
    position: int
    failure_class: str
    message: str


class Errors(Answer):
    """What went wrong with a job, and all that its programs wrote to standard error, in order; often nothing."""

    stderr: str
    programs: tuple[ProgramFailure, ...] = ()
    sequences: tuple[SequenceFailure, ...] = ()


class Event(Answer):
    """One change of a job's status."""

    at: Time
    from_status: str
    to_status: str
    why: str
    flow_run: str


_STATUSES: tuple[tuple[type[MultiblastError], str], ...] = (
    (InvalidInputError, "invalid-input"),
    (NotAllowedError, "forbidden"),
    (LimitError, "too-many-requests"),
    (ObjectMissingError, "not-found"),
    (NotFoundError, "not-found"),
    (ConflictError, "conflict"),
    (JobFailedError, "failed"),
)


def error_answer(error: MultiblastError) -> dict[str, Any]:
    """Return an error as the design writes it: ``{status, message}``, and ``errors`` by field for bad input."""
    status = next((word for kind, word in _STATUSES if isinstance(error, kind)), "server-error")
    answer: dict[str, Any] = {"status": status, "message": str(error)}
    if isinstance(error, InvalidInputError):
        answer["message"] = f"{len(error.problems)} problem{'s' if len(error.problems) > 1 else ''} with the input"
        answer["errors"] = {"general": error.general, "byKey": error.by_key}
    if isinstance(error, LimitError):
        answer["retryAt"] = _written(error.retry_at)
    return answer
