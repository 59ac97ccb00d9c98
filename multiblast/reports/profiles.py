"""The report that is the profiles a search kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multiblast.errors import ConflictError

if TYPE_CHECKING:
    from multiblast.reports.writer import ReportSource


def write_profiles(source: ReportSource, directory: Path) -> list[Path]:
    """Write the files that a search kept beside its results, each with its query's position if there are several."""
    paths = []
    for position, name, content in source.profiles():
        path = directory / name
        path = path.with_stem(f"{path.stem}_{position}") if source.query.sequences > 1 else path
        path.write_bytes(content)
        paths.append(path)
    if not paths:
        raise ConflictError(
            f"{source.query.program} left no profile: it makes one from hits of a round before the last, "
            "and with save_pssm_after_last_round from those of the last"
        )
    return paths
