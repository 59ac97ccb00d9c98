"""Parts of a job's reports that are formatted while other sequences of it are searched.

Nothing depends on them: a report takes those that were made of the very results it is made of, by the very formatter
and options, and makes the others. They lie in temporary files of the process that runs the job. A part is begun only
when a core is idle, as where the last batches run, or others search: the search is not to be slowed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from types import TracebackType
from typing import Self

from multiblast.database import QueryJob
from multiblast.files import working_space
from multiblast.ids import Canonical, digest
from multiblast.jobs import Child, ChildColumns
from multiblast.reports.blast_formatter import BlastFormatter
from multiblast.reports.blast_report import print_part
from multiblast.reports.idle_time import IdleTime
from multiblast.reports.report_options import Formatting
from multiblast.reports.surroundings import surroundings
from multiblast.reports.tables import table_of_results
from multiblast.reports.writer import ReportSource, queries_per_file
from multiblast.search import SearchContext, SearchEngine
from multiblast.targets import database_argument

_log = logging.getLogger(__name__)

_LOOK_PERIOD_S = 0.5
_LOOKED_AT = 4  # parts: batches are in the order of the query, so that the first ones are done first
_LEAST_IDLE_CORES = 0.8
_NICENESS = 19  # whatever begins meanwhile has the cores first
_MOST_BYTES = 2 << 30
_HTML_IS_MADE_OF = Formatting(format="15")


@dataclass
class _Wanted:
    """What is left to format of a report: the first positions of its parts, in order."""

    formatting: Formatting
    size: int
    left: list[int]


class EarlyParts:
    """Formats parts of reports in a thread of its own, from `start` to `stop`; leaving the context removes them.

    Args:
        engine: What searches.
        job_id: The query job.
        formattings: The reports that are wanted; those that cannot be made in parts are left to the end.
        most_bytes: How much is kept; beyond that nothing more is formatted.
        idle_cores: Returns how many cores were idle since it was called last.
    """

    def __init__(
        self,
        engine: SearchEngine,
        job_id: str,
        formattings: Sequence[Formatting],
        *,
        most_bytes: int = _MOST_BYTES,
        idle_cores: Callable[[], float] | None = None,
    ) -> None:
        self._engine, self._job_id, self._formattings, self._most_bytes = engine, job_id, formattings, most_bytes
        self._idle_cores = idle_cores
        self._made: dict[str, Path] = {}
        self._bytes = 0
        self._stopped, self._dropped = Event(), Event()
        self._wanted: list[_Wanted] | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        """Make a place for parts."""
        self._place = TemporaryDirectory(prefix="multiblast-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind, also no formatter."""
        self._dropped.set()
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self._place.cleanup()

    @property
    def dropped(self) -> bool:
        """Whether the run that was to make reports of the parts has ended, so that nobody makes them now."""
        return self._dropped.is_set()

    def start(self) -> None:
        """Format from now on what is ready, whenever there is something."""
        if self._formattings and self._thread is None:
            self._thread = Thread(target=self._format_all, name="early-parts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Format no more, at once: what is being formatted with little of the cores is soon made with all of them."""
        self._stopped.set()

    def format_ready(self) -> int:
        """Format the next part of each report whose sequences all have a result; return how many parts that were."""
        if self._bytes > self._most_bytes:
            return 0
        query = self._engine.jobs.query(self._job_id)
        if self._wanted is None:
            self._wanted = list(self._what_can_be_made(query))
        made = 0
        for wanted in self._wanted:
            for first in wanted.left[:_LOOKED_AT]:
                if children := self._done(query, first, wanted.size):
                    wanted.left.remove(first)
                    made += self._format(query, children, wanted.formatting)
                    break
        return made

    def take(
        self, children: Sequence[Child], first: int, formatting: Formatting, context: SearchContext
    ) -> Path | None:
        """Return the part of a report on these sequences, which is the caller's from then on; None if there is none."""
        return self._made.pop(self._identity(children, first, formatting, context), None) if self._made else None

    def _done(self, query: QueryJob, first: int, size: int) -> list[Child]:
        """Return some sequences if all have a result, else none; the last is mostly searched last, and soon read."""
        last = min(first + size - 1, query.sequences)
        for positions in (last, range(first, last + 1)):
            children = list(self._engine.jobs.children(query, positions))
            if not all(child.pack for child in children):
                return []
        return children

    def _what_can_be_made(self, query: QueryJob) -> Iterable[_Wanted]:
        """Yield what parts reports have; where rounds go between, or BLAST+ reads all titles, there are none.

        Tables of results are made fast enough at the end.
        """
        context = self._engine.resolver.context(query)
        options = context.options
        if options.most_rounds != 1 or options.reads_titles:
            return
        formattings = (one for one in self._formattings if table_of_results(one, context, "") is None)
        for wanted in dict.fromkeys(_HTML_IS_MADE_OF if one.format == "html" else one for one in formattings):
            size = queries_per_file(wanted.row, query.sequences, self._engine.installation.workers, rounds=1)
            if 0 < size < query.sequences:
                yield _Wanted(wanted, size, list(range(1, query.sequences + 1, size)))

    def _format_all(self) -> None:
        try:
            with working_space():
                idle_cores = self._idle_cores or IdleTime().cores
                while not self._stopped.is_set():
                    if idle_cores() < _LEAST_IDLE_CORES or not self.format_ready():
                        self._stopped.wait(_LOOK_PERIOD_S)
        except Exception as error:  # noqa: BLE001 - the report is made without these parts, and says what is wrong
            if not self._stopped.is_set():
                _log.info("formats no parts of reports early: %s", error, extra={"job": self._job_id})

    def _format(self, query: QueryJob, children: Collection[Child], formatting: Formatting) -> int:
        engine, chunk = self._engine, list(children)
        context, first = engine.resolver.context(query), chunk[0].position
        identity = self._identity(chunk, first, formatting, context)
        source = ReportSource(engine, query, ChildColumns(chunk), context, self._stopped.is_set, first=first)
        if not source.queries:
            return 0
        installation = engine.installation
        formatter = BlastFormatter(
            installation.program("blast_formatter"), 1, installation.time_limit_s, self._stopped.is_set, _NICENESS
        )
        with TemporaryDirectory(dir=self._place.name) as name:
            row = formatting.row
            (archive,) = source.archives(Path(name), together=row.together, prepare=row.prepare)
            part, warned = context.options.part, source.warned
            printed = print_part(archive, formatting, part=part, warned=warned, formatter=formatter)
            self._bytes += printed.stat().st_size
            self._made[identity] = printed.rename(Path(self._place.name) / f"{len(self._made)}-{identity}")
        return 1

    def _identity(self, children: Sequence[Child], first: int, formatting: Formatting, context: SearchContext) -> str:
        """Return a digest of all that decides the bytes of a part."""
        results = self._engine.results.digests([child.result_key for child in children])
        made_of = [[child.result_key, results.get(child.result_key, "")] for child in children]
        version = self._engine.installation.version("blast_formatter")
        facts: list[Canonical] = [
            first,
            formatting.changed(),
            version,
            database_argument(context.databases),
            surroundings(),
        ]
        return digest("part/1", [facts, made_of])
