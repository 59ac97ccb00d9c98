"""Making targets."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.services import services
from multiblast.targets import BlastDatabase
from multiblast.targets.new_target import NewTarget, make_target

__all__ = ["build"]


@task(cache_policy=NO_CACHE, task_run_name="build {new.site}/{new.target}/{new.database}")
def build(new: NewTarget) -> BlastDatabase:
    """Build a database from FASTA under the targets root."""
    at = services()
    return make_target(at.targets, new, program=at.installation.program("makeblastdb"))
