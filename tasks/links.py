"""Addresses in the UI that a run's page points to."""

from __future__ import annotations

import json
from urllib.parse import quote
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

__all__ = ["report_form", "run_page"]


async def report_form(job_id: str) -> str:
    """Return the address of the report form with the job filled in; empty if the form is not deployed."""
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name("make-report/make-report")
        except ObjectNotFound:
            return ""
    parameters = quote(json.dumps({"job": job_id}))
    return f"{_ui()}/deployments/deployment/{deployment.id}/run?parameters={parameters}"


def run_page(run_id: UUID) -> str:
    """Return the address of a flow run's page."""
    return f"{_ui()}/runs/flow-run/{run_id}"


def _ui() -> str:
    settings = get_current_settings()
    return settings.ui_url or (settings.api.url or "").removesuffix("/api")
