"""What runs are called and tagged, so that a person finds them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run, task_run

from tasks.outages import unless_away

__all__ = ["batch", "report", "sequence", "submission", "tag_run"]

_LONGEST = 60


def submission() -> str:
    """Name a submission: ``blastp · uniprot · summary``."""
    parameters: dict[str, Any] = flow_run.parameters
    options = parameters.get("options")
    program = parameters.get("program") or getattr(options, "program", "")
    targets = ", ".join(target.rpartition("/")[2] for target in parameters.get("targets", []))
    return " · ".join(part for part in (program, _short(targets), _short(parameters.get("summary", ""))) if part)


def batch() -> str:
    """Name a batch: ``search 40 sequences · batch 2 of 7``."""
    parameters: dict[str, Any] = task_run.parameters
    return f"search {parameters['batch'].label}"


def sequence() -> str:
    """Name a sequence by its defline."""
    parameters: dict[str, Any] = task_run.parameters
    row = parameters["row"]
    return f"{row.position} {_short(row.name) or 'untitled'}"


def report() -> str:
    """Name a report: ``5 BLAST XML of 1f0c…``."""
    parameters: dict[str, Any] = flow_run.parameters
    chosen = parameters["format"]
    return f"{getattr(chosen, 'value', chosen)} of {parameters['job'][:8]}"


async def tag_run(*job_ids: str) -> None:
    """Let the flow run be found by its jobs, and by its user."""
    user = str(flow_run.parameters.get("user", ""))
    tags = sorted({*flow_run.tags, *job_ids, user} - {""})
    async with unless_away("tagged"), get_client() as client:
        await client.update_flow_run(UUID(flow_run.id), tags=tags)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
