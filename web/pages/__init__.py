"""The pages on which people search, watch, read and download; rendered here, usable without JavaScript."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """Return the routes of all pages."""
    # Here, for the registry's pages need none of them.
    from web.pages import administration, job_pages, own_jobs, session_pages, submission

    return [session_pages.router, submission.router, job_pages.router, own_jobs.router, administration.router]
