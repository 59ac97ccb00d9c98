"""Queries that configurations describe: what is asked of whoever runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from multiblast.registry.config.schema import SearchEntry
from multiblast.registry.runs.blast_jobs import Searched

__all__ = ["DatabaseFile", "Queries", "QueryRequest"]


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
        user: Who asks.
        search: What to search, and how.
        query: The FASTA file.
        databases: What is to be searched beside the targets, by what the configuration calls it.
        files: Where each report is to be written, by what the configuration calls it.
    """

    user: str
    search: SearchEntry
    query: Path
    databases: Mapping[str, DatabaseFile]
    files: Mapping[str, Path]


class Queries(Protocol):
    """What runs queries, such as `multiblast.services.Services.registered_queries`."""

    def settle(self, search: SearchEntry) -> SearchEntry:
        """Return a query with nothing left to look up: every option, and the fingerprint of each database.

        Raises:
            InvalidInputError: with all problems, by the key in the configuration; a database whose fingerprint
                is another than the query says is one.
        """

    def run(self, request: QueryRequest) -> Searched:
        """Run a query, and write its reports where the request says.

        Raises:
            InvalidInputError: with all problems of the query and its reports; nothing was recorded.
            ConflictError: a database was rebuilt meanwhile.
        """
