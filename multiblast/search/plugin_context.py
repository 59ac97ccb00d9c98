"""Searches by plugins: the command from the plugin's table, and rows of hits brought back to their queries.

What is kept of a query is its rows as the program printed them, below a line with the names of the columns and without
the column of the query, whose name it was given here; nothing at all of a query without hits. So the bytes follow from
the residues, the options, the program and the databases alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from multiblast.archive import SplitArchive, Summary
from multiblast.archive.rows import write_rows
from multiblast.errors import ArchiveError, ProgramError
from multiblast.ids import Canonical
from multiblast.installation import Installation
from multiblast.options import Options
from multiblast.plugins.commands import OUTPUTS, Words, output_path
from multiblast.plugins.search_databases import SearchDatabase
from multiblast.plugins.search_process import confined
from multiblast.plugins.search_programs import SearchPlugin
from multiblast.plugins.search_table import SearchTable
from multiblast.programs import printed_text
from multiblast.results import ResultKeys
from multiblast.search.context import QUERY_FILE, SearchContext, SearchedSequence
from multiblast.search.progress import board
from multiblast.targets import BlastDatabase, mixture

_NAME = re.compile(rb"q([1-9][0-9]*)")
_RECORD = re.compile(rb"^>q([1-9][0-9]*)\b", re.MULTILINE)
_LOG_KEPT_BYTES = 4096
_WORK = "work"
_MADE_AT_ONCE = 20_000_000  # letters: within a second or so
_BUFFER_BYTES = 1 << 20


def plugin_keys(plugin: SearchPlugin, version: str, options: Options, databases: Sequence[BlastDatabase]) -> ResultKeys:
    """Return the maker of result keys for a search by a plugin: all that its table says of what is found is in them."""
    table = plugin.table
    letters = sum(database.letters for database in databases)
    command: list[Canonical] = [
        word if isinstance(word, str) else [word.when, *word.words] for word in plugin.description.run.command
    ]
    decided: dict[str, Canonical] = {
        "options": options.deciding(),
        "pinned": list(table.pinned_words(letters)),
        "command": command,
        "columns": [table.query_column, *(list(column) for column in table.columns.items())],
        "database": list(table.database.make),
    }
    if plugin.runs_own_files(plugin.description.run.command):
        decided["files"] = plugin.digest
    fingerprints = [*(database.fingerprint for database in databases), *mixture(databases)]
    keeps_case = _keeps_case(table, options)
    return ResultKeys(plugin.name, version, decided, fingerprints, keeps_case=keeps_case)


@dataclass(frozen=True)
class PluginContext(SearchContext):
    """What all batches of one job share that a plugin searches; ``version`` is that of its program."""

    plugin: SearchPlugin = field(kw_only=True)
    version: str = field(kw_only=True)

    def by_independence(self, sequences: Sequence[SearchedSequence]) -> Iterator[list[SearchedSequence]]:
        """Yield the sequences together, or each alone where an option was not shown to change nothing by that."""
        if self.plugin.shares_process(self.options):
            yield from filter(None, [list(sequences)])
        else:
            yield from ([sequence] for sequence in sequences)

    def is_independent(self, residues: bytes) -> bool:  # noqa: ARG002 - as of BLAST+
        """Return that no process must be told to treat sequences one by one: see `by_independence`."""
        return True

    def written(self, residues: bytes) -> bytes:
        """Return a sequence as it is given to the program: in one case, where that has no meaning."""
        return residues if _keeps_case(self.plugin.table, self.options) else residues.upper()

    @cached_property
    def database(self) -> SearchDatabase:
        """What the program searches in."""
        fingerprints = tuple(database.fingerprint for database in self.databases)
        return SearchDatabase(self.plugin, self.version, self.databases, fingerprints)

    @property
    def is_prepared(self) -> bool:
        """Whether the plugin's own database is there, or so small that it is made at once."""
        return self.database_size.letters <= _MADE_AT_ONCE or self.database.is_made

    def prepare(self, installation: Installation, directory: Path, cancelled: Callable[[], bool]) -> None:
        """Make the plugin's own database of what is searched, unless it is there, and a directory to work in."""
        (directory / _WORK / OUTPUTS).mkdir(parents=True)
        if self.database.is_made:
            self.database.make(installation, cancelled)  # which notes that it is used
            return
        with board.doing(self.job_id, f"making the {self.plugin.name} database, once for all searches"):
            self.database.make(installation, cancelled)

    def arguments(self, directory: Path = Path()) -> list[str]:  # noqa: ARG002 - as of BLAST+
        """Return the options that were chosen, and the words that are pinned, for people."""
        return [*self.options.arguments(), *self._pinned]

    def command(self, program: str, directory: Path, threads: int) -> list[str]:  # noqa: ARG002 - the table has it
        """Return the argument list of a search whose query, outputs and work directory are in the directory."""
        description, table = self.plugin.description, self.plugin.table
        work, columns = directory / _WORK, table.printed_columns
        given = ((name, self.options.value(name)) for name in description.parameters)
        parameters = {name: value for name, value in given if value is not None}
        more = {
            "database": [str(self.database.path)],
            "columns": columns,
            "columns.joined": [",".join(columns)],
            "pinned": self._pinned,
        }
        inputs = {table.query: (directory / QUERY_FILE,)}
        words = Words(description, inputs, parameters, threads, work, self.plugin.directory, more)
        return words.command()

    def confined(self, command: Sequence[str], directory: Path, threads: int) -> list[str]:
        """Return the command as it is started in a directory: with a clean environment, in a sandbox if it can be."""
        return confined(self.plugin, command, directory, (self.database.directory,), threads)

    def results(
        self, stream: BinaryIO, directory: Path, sequences: int, finish: Callable[[], object]
    ) -> Iterator[SplitArchive]:
        """Yield the results of queries, by their names; those with hits as they come, the others at the end."""
        answered = [False] * sequences
        is_printed = self.plugin.description.run.stdout == self.plugin.table.hits
        reader = _Rows(self.plugin.table, answered)
        if is_printed:
            with BufferedReader(cast("RawIOBase", stream), _BUFFER_BYTES) as lines:
                yield from reader.read(lines)
            finish()
        else:
            log = b""
            for piece in iter(lambda: stream.read(1 << 16), b""):
                log = (log + piece)[-_LOG_KEPT_BYTES:]
            _finish(finish, log)
            with self._opened(self._output(directory, self.plugin.table.hits)) as rows:
                yield from reader.read(rows)
        yield from reader.last()
        self._note_silent(directory, answered)
        for position, has_answer in enumerate(answered):
            if has_answer and position not in reader.found:
                yield SplitArchive(position, b"", _summary(self.plugin.table, []))

    def _note_silent(self, directory: Path, answered: list[bool]) -> None:
        """Note the queries that the program says to have done; of the others nothing is known."""
        no_hits = self.plugin.table.no_hits
        if no_hits.output:
            with self._opened(self._output(directory, no_hits.output)) as names:
                for line in names:
                    if found := _RECORD.match(line):
                        answered[_position(found[1], len(answered))] = True
        if no_hits.index:
            with self._opened(directory / _WORK / no_hits.index) as lines:
                count = sum(1 for line in lines if line.strip())
            if count == len(answered):
                answered[:] = [True] * count

    def _output(self, directory: Path, name: str) -> Path:
        return output_path(self.plugin.description, name, directory / _WORK)

    @staticmethod
    def _opened(path: Path) -> BinaryIO:
        try:
            return cast("BinaryIO", path.open("rb"))
        except FileNotFoundError as error:
            raise ArchiveError(f"the program wrote no {path.name}") from error

    @property
    def _pinned(self) -> tuple[str, ...]:
        return self.plugin.table.pinned_words(self.database_size.letters)


class _Rows:
    """Reads rows, and groups them by query."""

    def __init__(self, table: SearchTable, answered: list[bool]) -> None:
        self._table = table
        self._answered = answered
        self._name = b""
        self._rows: list[bytes] = []
        self._columns = len(table.columns)
        self.found: set[int] = set()

    def read(self, lines: BinaryIO) -> Iterator[SplitArchive]:
        """Yield the results of all queries but the last, whose rows may not all be there yet."""
        for line in lines:
            name, _, row = line.partition(b"\t")
            if row.count(b"\t") + 1 != self._columns or not line.endswith(b"\n"):
                raise ArchiveError(f"a row has not the {self._columns + 1} columns that were wanted: {line[:200]!r}")
            if name != self._name:
                yield from self.last()
                self._name = name
            self._rows.append(row)

    def last(self) -> Iterator[SplitArchive]:
        """Yield the result of the query whose rows were read last."""
        if not self._rows:
            return
        found = _NAME.fullmatch(self._name)
        if not found:
            raise ArchiveError(f"there is no query {self._name[:60]!r}")
        position = _position(found[1], len(self._answered))
        if self._answered[position]:
            raise ArchiveError(f"the rows of the query {self._name[:60]!r} are not together")
        self._answered[position] = True
        rows, marker = self._rows, self._table.no_hits.marker.encode()
        if marker:
            at = list(self._table.columns).index("sseqid")
            rows = [row for row in rows if row.rstrip(b"\n").split(b"\t")[at] != marker]
        if rows:
            self.found.add(position)
            hits = [row.rstrip(b"\n").decode("utf-8", "replace").split("\t") for row in rows]
            yield SplitArchive(position, write_rows(self._table.columns, rows), _summary(self._table, hits))
        self._rows = []


def _position(number: bytes, sequences: int) -> int:
    position = int(number) - 1
    if not 0 <= position < sequences:
        raise ArchiveError(f"there is no query q{number.decode()}")
    return position


def _summary(table: SearchTable, rows: Sequence[Sequence[str]]) -> Summary:
    """Return a result at a glance; of a query without hits its length is not known here."""
    if not rows:
        return Summary(0, 0, "", None, None, None, None, 0)
    columns = list(table.columns)
    best = dict(zip(columns, rows[0], strict=True))
    subject = columns.index("sseqid")
    covered = best.get(table.summary.coverage_percent) or _covered(best)
    return Summary(
        hits=len({row[subject] for row in rows}),
        hsps=len(rows),
        best_hit=best[table.summary.best_hit],
        evalue=float(best[table.summary.evalue]),
        bit_score=float(best[table.summary.bit_score]),
        identity_percent=float(best[table.summary.identity_percent]),
        coverage_percent=float(covered),
        query_length=int(best["qlen"]),
    )


def _covered(row: dict[str, str]) -> float:
    first, last = int(row["qstart"]), int(row["qend"])
    return round(100 * (abs(last - first) + 1) / int(row["qlen"]), 3)


def _finish(finish: Callable[[], object], log: bytes) -> None:
    """Wait for the end of a program that writes what is wrong where others write their results."""
    try:
        finish()
    except ProgramError as error:
        stderr = error.stderr + printed_text(log)
        raise ProgramError(error.command, error.exit_code, stderr, error.failure_class) from error


def _keeps_case(table: SearchTable, options: Options) -> bool:
    return bool(table.keeps_case) and _text(options.value(table.keeps_case)) not in {"", "0", "false"}


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
