"""The pages on which people search, watch, read and download; rendered here, usable without JavaScript."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Return the routes of all pages."""
    # Here, for the registry's pages need none of them.
    from web.pages import (
        administration,
        job_pages,
        next_steps,
        own_jobs,
        plugin_job_pages,
        plugin_pages,
        session_pages,
        submission,
    )

    modules = (session_pages, submission, job_pages, own_jobs, next_steps, plugin_job_pages, plugin_pages)
    return [*(module.router for module in modules), administration.router]
