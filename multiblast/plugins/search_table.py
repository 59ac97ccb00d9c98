"""The table ``[search]`` of a search plugin: how its queries are split, and its rows come back to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from multiblast.molecules import DatabaseKind, Molecule

_Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]
_File = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)?$")]

NEEDED_COLUMNS = (
    "sseqid", "length", "qstart", "qend", "qlen", "sstart", "send", "slen", "evalue", "bitscore", "qseq_gapped",
    "sseq_gapped",
)  # fmt: skip
"""Columns that every search plugin must keep: pages and tables of hits are made from them."""

SEARCH_WORDS = frozenset({"columns", "database", "pinned"})
"""What stands in a word of a search plugin's command for something else, beside what stands in all commands."""

DATABASE_WORDS = frozenset({"fasta", "database", "threads", "work"})


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pinned(_Table):
    """Words of the command that are the same for all queries, since the program would choose by the query file.

    Attributes:
        up_to_letters: Of the databases together, for which they are meant; 0 is any number.
        words: The words.
    """

    up_to_letters: Annotated[int, Field(ge=0)] = 0
    words: tuple[str, ...]


class NoHits(_Table):
    """How the program says that it found nothing for a query, so that silence is an error; just one of these.

    Attributes:
        marker: What stands in the column of the subject, in a row of a query without hits.
        output: The output, a FASTA file, that has the queries without hits.
        index: A file below the work directory that has a line for every query that was done.
    """

    marker: str = ""
    output: str = ""
    index: _File = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(map(bool, (self.marker, self.output, self.index))) != 1:
            raise ValueError("give just one of marker, output and index")
        return self


class Database(_Table):
    """How the database that is searched is made from the registered ones, once for each content.

    Attributes:
        make: The words of the command; ``{fasta}`` is the file of all sequences, ``{database}`` the path of what is to
            be made, ``{threads}`` and ``{work}``, an empty directory, as in other commands.
    """

    make: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        used = {name for word in self.make for name in re.findall(r"\{([^}]*)\}", word)}
        if unknown := sorted(used - DATABASE_WORDS):
            raise ValueError(f"{{{unknown[0]}}} stands for nothing: use {', '.join(sorted(DATABASE_WORDS))}")
        if missing := sorted({"fasta", "database"} - used):
            raise ValueError(f"{{{missing[0]}}} does not stand in it")
        return self


class Summary(_Table):
    """Which columns the table of sequences shows of the best hit, the first of a query.

    Attributes:
        best_hit: Its name.
        evalue: Its E-value.
        bit_score: Its bit score.
        identity_percent: How much of the alignment is identical.
        coverage_percent: How much of the query is covered; empty if no column has it.
    """

    best_hit: _Column = "sseqid"
    evalue: _Column = "evalue"
    bit_score: _Column = "bitscore"
    identity_percent: _Column = "pident"
    coverage_percent: _Column = ""


class SearchTable(_Table):
    """How queries are split, and rows come back to them.

    Attributes:
        query: The input that has the queries.
        hits: The output that has the rows, separated by tabs, those of one query together.
        molecule: What queries are made of.
        searches: What databases hold.
        query_column: What the program calls the column with the name of the query, which comes first.
        query_id: Matches in the title of a query, from its begin, what the program calls it; the first group.
        columns: What the program calls the other columns, in their order, by the names that reports have for them.
        standard: What it prints by itself, by the program's own names: the columns of a report that names none.
        no_hits: How it says that a query has none.
        deciding: The parameters that decide what is found: all of these are part of what a result is kept under.
        together: The parameters with which a query has the same rows alone and together with others, whatever their
            values, as tests show. With another one that is not left at its default, each query is searched alone.
        keeps_case: The parameter with which lower-case letters of a query have a meaning; else they are upper case.
        pinned: Words that replace ``{pinned}``, by the size of the databases, the smallest first.
        batch_letters: How many letters one process is given: enough that it is worth the start.
        database: How the database is made.
        summary: What the table of sequences shows.
    """

    query: str
    hits: str
    molecule: Molecule
    searches: DatabaseKind = DatabaseKind.PROTEIN
    query_column: _Column
    query_id: str = r"(\S*)"
    columns: Mapping[_Column, _Column]
    standard: tuple[_Column, ...]
    no_hits: NoHits
    deciding: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    keeps_case: str = ""
    pinned: tuple[Pinned, ...] = ()
    batch_letters: Annotated[int, Field(ge=1)] = 5_000_000
    database: Database
    summary: Summary = Summary()

    @property
    def printed_columns(self) -> list[str]:
        """What the program calls the columns that it is to print, in their order."""
        return [self.query_column, *self.columns.values()]

    def pinned_words(self, letters: int) -> tuple[str, ...]:
        """Return what is pinned for databases of some letters."""
        fitting = (one.words for one in self.pinned if not one.up_to_letters or letters <= one.up_to_letters)
        return next(fitting, ())

    @model_validator(mode="after")
    def _check(self) -> Self:
        if missing := [name for name in NEEDED_COLUMNS if name not in self.columns]:
            raise ValueError(f"columns: {', '.join(missing)} must be among them")
        used = (*self.summary.model_dump().values(), *self.standard)
        own = {"", self.query_column, *self.columns, *self.columns.values()}
        if unknown := [name for name in used if name not in own]:
            raise ValueError(f"{', '.join(unknown)} is not among the columns")
        try:
            groups = re.compile(self.query_id).groups
        except re.error as error:
            raise ValueError(f"query_id: {self.query_id!r} is no regular expression: {error}") from error
        if groups < 1:
            raise ValueError("query_id: the pattern needs a group around the id")
        limits = [one.up_to_letters or float("inf") for one in self.pinned]
        if limits != sorted(set(limits)) or (limits and limits[-1] != float("inf")):
            raise ValueError("pinned: the smallest databases come first, and the last is for those of any size")
        return self
