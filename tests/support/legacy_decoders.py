"""What the decoders of VEuPathDB's published client demand of the surface 1.x, restated."""

# ruff: noqa: N815 - the members are spelled as 1.x spells them
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["Failure", "InvalidInput", "LongJob", "Report", "ShortJob"]


def _not_null(value: object) -> object:
    assert value is not None, "a member that is not known must be left out"
    return value


Text = Annotated[str | None, BeforeValidator(_not_null)]
Status = Literal["queued", "in-progress", "completed", "errored", "expired"]


class Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class Indexed(Model):
    id: str
    index: int


class Target(Model):
    organism: str
    target: str


class ShortJob(Model):
    id: str
    status: Status
    created: str
    site: str
    isPrimary: bool
    isRerunnable: bool
    description: Text = None
    targets: list[Target]
    childJobs: Annotated[list[Indexed] | None, BeforeValidator(_not_null)] = None


class Place(Model):
    start: int
    end: int


class Seg(Model):
    window: float
    locut: float
    hicut: float


class Config(Model):
    tool: Literal["blastn", "blastp", "blastx", "tblastn", "tblastx"]
    eValue: str
    queryLoc: Annotated[Place | None, BeforeValidator(_not_null)] = None
    seg: Annotated[Literal["yes", "no"] | Seg | None, BeforeValidator(_not_null)] = None
    taxIds: Annotated[list[int] | None, BeforeValidator(_not_null)] = None


class LongJob(ShortJob):
    config: Config


class ReportConfig(Model):
    jobID: str
    format: str


class Report(Model):
    jobID: str
    reportID: str
    status: Status
    config: ReportConfig
    files: Annotated[list[str] | None, BeforeValidator(_not_null)] = None


class KeyedErrors(Model):
    general: list[str]
    byKey: dict[str, list[str]]


class InvalidInput(Model):
    status: Literal["invalid-input"]
    errors: KeyedErrors


class Failure(Model):
    status: Literal["bad-request", "too-large", "unauthorized", "forbidden", "not-found", "bad-method", "server-error"]
    message: str
