"""Searches that configurations describe: what their runner is given, and what it reports back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from multiblast.registry.config.schema import SearchEntry


@dataclass(frozen=True, slots=True)
class DatabaseOrigin:
    """How a database was made of a data product.

    Attributes:
        product: What the configuration calls the data product.
        command: What made it, as an argument list.
        program_version: Of what built it; empty if it was only unpacked.
    """

    product: str
    command: Sequence[str]
    program_version: str = ""


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What must be known of a search to know years later what it was.

    Attributes:
        job_id: The query job.
        databases: The fingerprint of each by its name, SITE/TARGET/DATABASE.
        options: As given; left alone, the defaults of that version hold.
        commands: What was run, as argument lists.
        results_digest: Of all results, in the order of the query.
        parts: Of which parts of the databases some commands were run, with results of an earlier state: the same came
            of it as of the whole.
        made: How those of the databases were made that come from data products, by name.
    """

    job_id: str
    program: str
    program_version: str
    databases: Mapping[str, str]
    options: Mapping[str, Any]
    commands: Sequence[Sequence[str]]
    results_digest: str
    parts: Sequence[str] = ()
    made: Mapping[str, DatabaseOrigin] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """What is one word each."""
        return {
            "job_id": self.job_id,
            "program": self.program,
            "program_version": self.program_version,
            "results_digest": self.results_digest,
        }


def shell_script(commands: Sequence[Sequence[str]]) -> str:
    """Return commands as a person would type them, one per line."""
    return "".join(shlex.join(command) + "\n" for command in commands if command)


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A data product that is to be searched."""

    path: Path
    sha1: str
    name: str


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A multiblast query that a configuration describes.

    Attributes:
        query: The FASTA file.
        databases: What is to be searched beside the targets, by what the configuration calls it.
        files: Where each report is to be written, by what the configuration calls it.
    """

    user: str
    search: SearchEntry
    query: Path
    databases: Mapping[str, DatabaseFile]
    files: Mapping[str, Path]


class QueryRunner(Protocol):
    """What runs queries, such as `multiblast.services.Services.registered_queries`."""

    def settle(self, search: SearchEntry) -> SearchEntry:
        """Return a query with nothing left to look up: every option, and the fingerprint of each database.

        Raises:
            InvalidInputError: with all problems, by the key in the configuration; a database whose fingerprint
                is another than that of the query is one.
        """

    def run(self, request: QueryRequest) -> SearchRecord:
        """Run a query, and write its reports where the request wants them.

        Raises:
            InvalidInputError: with all problems of the query and its reports; nothing was recorded.
            ConflictError: a database was rebuilt meanwhile.
        """
