"""Where files that users name may lie."""

from __future__ import annotations

from pathlib import Path

from prefect.runtime import deployment

from multiblast.settings import home

__all__ = ["query_directory"]


def query_directory() -> Path | None:
    """Return the one directory whose files a run may read as queries.

    A script or the command line reads whatever its user can read (None); a
    deployment runs for other people and reads only the directory for uploads.
    """
    if not deployment.id:
        return None
    directory = home() / "uploads"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
