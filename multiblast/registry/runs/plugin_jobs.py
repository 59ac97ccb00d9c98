"""Code runs of plugin jobs: what a plugin took in, how it ran, and what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import yaml

from multiblast.ids import digest
from multiblast.registry.config.searches import shell_script
from multiblast.registry.local.records import CodeRunFacts, find_product, record_content, record_run, user_author_id
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.names import ProductName
from multiblast.registry.model.rows import CodeRunRow
from multiblast.registry.runs.blast_jobs import JobFile

NAMESPACE = "plugins"
"""The namespace of what plugins make."""


@dataclass(frozen=True, slots=True)
class PluginJobFacts:
    """The facts of one plugin job, for its provenance.

    Attributes:
        plugin: ``NAME@VERSION``.
        user: The requester; empty for nobody in particular.
        made_of: What it took in that is recorded already: results of jobs, outputs of other plugins.
        inputs: Files that it took in and that are recorded with it.
        facts: Digests of its files and environment, the version of its tool.
        repository, commit: Of its code, if that came from a git repository.
    """

    job_id: str
    plugin: str
    at: datetime
    user: str
    command: Sequence[str]
    recipe: Mapping[str, Any]
    made_of: Sequence[ProductName]
    inputs: Sequence[JobFile]
    outputs: Sequence[JobFile]
    facts: Mapping[str, str] = field(default_factory=dict)
    repository: str = ""
    commit: str = ""

    @property
    def run_id(self) -> str:
        """The UUID of the run: another one where what it made is another."""
        made = [str(file.name) for file in self.outputs]
        return str(UUID(digest("code-run/1", ["plugin", self.job_id, made])))


def record_plugin_job(registry: Registry, job: PluginJobFacts) -> str:
    """Record a plugin job as a code run of the local registry; return the run's UUID.

    Raises:
        ConflictError: a file of that name and version exists with another content.
        StoreError: a file cannot be kept.
    """
    contents = {file: registry.files.add(file.path).sha1 for file in (*job.inputs, *job.outputs)}
    with registry.transaction(), registry.session() as session:
        if registry.find(CodeRunRow, [{"uuid": job.run_id}])[0] is not None:
            return job.run_id
        author = user_author_id(session, job.user or "guest")
        objects = {
            file: record_content(
                registry, file.name, sha1, file_type=file.file_type, description=file.description, authors=[author]
            ).object_id
            for file, sha1 in contents.items()
        }
        known = [product.object_id for name in job.made_of if (product := find_product(session, name)) is not None]
        run = CodeRunFacts(
            uuid=job.run_id,
            at=job.at,
            description=f"plugin {job.plugin}, job {job.job_id}",
            config=yaml.safe_dump({"plugin": job.plugin, **job.recipe}),
            script=shell_script([job.command]),
            script_type="sh",
            author=author,
            inputs=[*known, *(objects[file] for file in job.inputs)],
            outputs=[objects[file] for file in job.outputs],
            facts=job.facts,
            repository=job.repository,
            commit=job.commit,
        )
        record_run(registry, session, run)
    return job.run_id
