"""Code runs in the local registry."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit

from sqlmodel import Session

from multiblast.registry.local.records import record_file, record_object, record_place, whole_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.model.tables import CodeRun, CodeRunInput, CodeRunOutput, KeyValue, Object


@dataclass(frozen=True, slots=True)
class CodeRunFacts:
    """The facts of a code run."""

    uuid: str
    at: datetime
    description: str
    config: str
    script: str
    script_type: str
    author: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    facts: Mapping[str, str]
    repository: str = ""
    commit: str = ""
    public: bool = True


def record_run(registry: Registry, session: Session, run: CodeRunFacts) -> int:
    """Make a code run with its configuration, script and code; lists are made anew for each run."""
    config = _text_object(registry, session, run, run.config, "working configuration", "yaml")
    script = _text_object(registry, session, run, run.script, "submission script", run.script_type)
    for key, value in sorted(run.facts.items()):
        session.add(KeyValue(object_id=cast("int", config.id), key=key, value=value))
    recorded = CodeRun(
        run_date=run.at,
        description=run.description,
        uuid=run.uuid,
        code_repo_id=_repository_object(session, run),
        model_config_id=config.id,
        submission_script_id=cast("int", script.id),
    )
    session.add(recorded)
    session.flush()
    number = cast("int", recorded.id)
    for item in dict.fromkeys(run.inputs):
        session.add(CodeRunInput(code_run_id=number, object_component_id=cast("int", whole_of(session, item).id)))
    for item in dict.fromkeys(run.outputs):
        session.add(CodeRunOutput(code_run_id=number, object_component_id=cast("int", whole_of(session, item).id)))
    session.flush()
    return number


def _text_object(  # noqa: PLR0913, PLR0917 - what to keep, and as what
    registry: Registry, session: Session, run: CodeRunFacts, text: str, description: str, file_type: str
) -> Object:
    kept = registry.files.add_bytes(text.encode())
    return record_file(
        registry, session, kept.sha1, description=description, file_type=file_type, public=run.public,
        authors=[run.author],
    )  # fmt: skip


def _repository_object(session: Session, run: CodeRunFacts) -> int | None:
    if not (run.repository and run.commit):
        return None
    address = urlsplit(run.repository)
    if address.scheme in ("http", "https"):
        root, path = f"{address.scheme}://{address.hostname}/", address.path.lstrip("/")
    elif match := re.fullmatch(r"(?:[^@/]+@)?([\w.-]+):(.+)", run.repository):  # git@host:path
        root, path = f"ssh://{match[1]}/", match[2]
    else:
        return None  # a path on this machine tells nobody else anything
    location = record_place(session, root, path.removesuffix(".git"), run.commit)
    return record_object(session, location=location, description="code repository").id
