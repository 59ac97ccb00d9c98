"""The jobs of Qiita's plugins, as both sides of a run see them: what is to be done, and how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from multiblast.database import Database, QiitaJob
from multiblast.errors import NotFoundError

ENDED = ("success", "error")
_LONGEST_MESSAGE = 20_000


@dataclass(frozen=True, slots=True)
class Artifact:
    """What Qiita calls an artifact: files that belong together.

    Attributes:
        type: A type of Qiita's, such as ``FASTQ``.
        files: Keys of files and directories, by Qiita's type of file.
        preparation: The number of the preparation that it is of.
    """

    type: str
    files: Mapping[str, list[str]]
    name: str = ""
    preparation: int = 1


@dataclass(frozen=True, slots=True)
class QiitaWork:
    """What a plugin shall do.

    Attributes:
        command: A command of the plugin.
        parameters: Of the command; an artifact is given by its number.
        artifacts: By number.
        preparations: By number: the keys of ``prep-file`` and ``sample-file``.
    """

    command: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[int, Artifact] = field(default_factory=dict)
    preparations: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def inputs(self) -> list[str]:
        """Return the keys of what it reads."""
        artifacts = [key for one in self.artifacts.values() for keys in one.files.values() for key in keys]
        return artifacts + [key for one in self.preparations.values() for key in one.values()]


class QiitaJobs:
    """All jobs of Qiita's plugins, by the tickets of their runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, ticket: str, base: str, work: QiitaWork) -> None:
        """Note what the holder of a ticket shall do, and the directory under which it sees our keys."""
        row = QiitaJob(
            ticket=ticket,
            base=base,
            command=work.command,
            parameters=dict(work.parameters),
            artifacts={str(number): asdict(one) for number, one in work.artifacts.items()},
            preparations={str(number): dict(one) for number, one in work.preparations.items()},
        )
        with self._database.write() as session:
            session.add(row)

    def find(self, ticket: str) -> QiitaJob | None:
        """Return the job of a ticket; None for a grant that was signed for something else."""
        with self._database.read() as session:
            return session.get(QiitaJob, ticket)

    def get(self, ticket: str) -> QiitaJob:
        """Return the job of a ticket.

        Raises:
            NotFoundError: there is none.
        """
        found = self.find(ticket)
        if found is None:
            raise NotFoundError("job", ticket, "this grant is of no run of a plugin")
        return found

    def running(self, ticket: str) -> None:
        """Note that a job runs; one that has ended stays so."""
        self._update(ticket, status="running")

    def step(self, ticket: str, step: str) -> None:
        """Note what a job does now."""
        self._update(ticket, step=step[:_LONGEST_MESSAGE])

    def end(self, ticket: str, message: str | None, outputs: Mapping[str, Any]) -> None:
        """Note how a job ended: with a message if it failed. What is said first counts."""
        status = "success" if message is None else "error"
        self._update(ticket, status=status, message=(message or "")[:_LONGEST_MESSAGE], outputs=dict(outputs))

    def summarize(self, ticket: str, number: int, keys: list[str]) -> None:
        """Note the summary of an artifact."""
        with self._database.write() as session:
            row = session.get_one(QiitaJob, ticket)
            row.summaries = {**row.summaries, str(number): keys}
            session.add(row)

    def _update(self, ticket: str, **values: Any) -> None:
        with self._database.write() as session:
            living = update(QiitaJob).where(col(QiitaJob.ticket) == ticket, col(QiitaJob.status).not_in(ENDED))
            session.exec(living.values(**values))
