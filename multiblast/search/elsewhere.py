"""Searches and reports that are done elsewhere: ordered, waited for, fetched; all else stays here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from multiblast.database import QueryJob
from multiblast.errors import ConflictError, FailureClass, ObjectMissingError, ProgramError
from multiblast.files import sha256_of
from multiblast.gateway import Gateway
from multiblast.jobs import Jobs
from multiblast.object_kinds import published_files_prefix, published_key
from multiblast.programs import Completed
from multiblast.search.batch_search import Started
from multiblast.search.context import PROFILE_FILE, QUERY_FILE, SearchContext, targets_of
from multiblast.search.orders import (
    ALIVE,
    ALIVE_EVERY_S,
    ARCHIVE_FILE,
    DONE,
    STDOUT,
    Done,
    Order,
    fetch_output,
    is_done,
)
from multiblast.targets import database_argument

_LOOK_S = 1.0
_SILENT_S = 24 * ALIVE_EVERY_S  # the gateway may be away for a minute, and nobody there is to blame for that
_TICKET_LASTS = timedelta(days=2)
_ATTEMPTS = 3
_MOST_BYTES = 1 << 40


class GivenBackError(ConflictError):
    """Nobody elsewhere does this: others may."""


class Courier(Protocol):
    """Takes orders to a site."""

    def send(self, order: Order, ticket: str, attempt: int) -> str:
        """Have an order done; return the id of its run. The same attempt again is the same run."""

    def ended(self, run_id: str) -> str | None:
        """Return how a run has ended, or None while it waits or runs."""

    def stop(self, run_id: str) -> None:
        """Stop a run, whose order is wanted no more."""


@dataclass
class Elsewhere:
    """A site that does searches for us.

    Attributes:
        site: Its name.
        courier: What takes orders there.
        patience_s: How long an order may wait there until somebody begins with it.
    """

    gateway: Gateway
    jobs: Jobs
    site: str
    courier: Courier
    patience_s: float = 120.0

    def start(self, search: Started) -> RunElsewhere:
        """Order a search, and wait for it when its archive is asked for."""
        if search.context.plugin is not None:
            raise GivenBackError(f"{search.context.options.program} searches at home only, not at {self.site}")
        job = self.jobs.query(search.context.job_id)
        there = {name: search.directory / name for name in (QUERY_FILE, PROFILE_FILE)}
        files = {name: path for name, path in there.items() if path.is_file()}
        order = self._order(job, search.context, files, one_by_one=search.one_by_one, time_limit_s=search.time_limit_s)
        return RunElsewhere(self, order, files, search.archive, search.cancelled, tuple(search.command), search.context)

    def format(  # noqa: PLR0913 - an archive, its report, and how it is made
        self,
        report_id: str,
        context: SearchContext,
        archive: Path,
        arguments: Sequence[str],
        stdout: Path,
        *,
        time_limit_s: float,
        cancelled: Callable[[], bool],
    ) -> RunElsewhere:
        """Order a report of an archive, and wait for it when it is asked for."""
        files = {ARCHIVE_FILE: archive}
        order = self._order(self.jobs.query(context.job_id), context, files, time_limit_s=time_limit_s)
        database = database_argument(context.databases)
        order = replace(order, job_id=report_id, formatter=tuple(arguments), database=database)
        return RunElsewhere(self, order, files, stdout, cancelled, ("blast_formatter", *arguments), context)

    def _order(self, job: QueryJob, context: SearchContext, files: Mapping[str, Path], **more: Any) -> Order:
        return Order(
            job_id=job.id,
            search_key=context.search_key,
            program=job.program,
            options=job.recipe["options"],
            site=job.site,
            targets=tuple((target.display, target.file) for target in targets_of(job)),
            inputs={name: sha256_of(path) for name, path in files.items()},
            **more,
        )


@dataclass
class RunElsewhere:
    """A program that runs elsewhere, and is used as a `multiblast.programs.Program` here is.

    Attributes:
        files: What it reads, by name; other files that it writes go beside ``stdout``.
        stdout: Where its standard output goes.
    """

    at: Elsewhere
    order: Order
    files: Mapping[str, Path]
    stdout: Path
    cancelled: Callable[[], bool]
    command: tuple[str, ...]
    context: SearchContext
    _run_id: str = ""
    _ticket: str = ""
    _done: Done | None = field(default=None)
    _is_here: bool = False

    def __enter__(self) -> Self:
        store = self.at.gateway.store
        self._done = is_done(store, self.order)  # by an attempt whose end nobody here has seen
        if self._done is None:
            for name, path in self.files.items():
                with path.open("rb") as file:
                    store.put(f"{self.order.prefix}{name}", file)
            self._ticket = self.at.gateway.tickets.make(
                site=self.at.site,
                reads=[*self.order.reads, *_published(self.context)],
                writes=[self.order.prefix],
                max_bytes=_MOST_BYTES,
                lasts=_TICKET_LASTS,
                job_id=self.order.job_id,
                replaces=True,
            ).id
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticket:
            self.at.gateway.tickets.revoke(self._ticket, "its order was done, or is wanted no more")
        if self._run_id and self._done is None:
            self.at.courier.stop(self._run_id)
        if self._done is not None:
            self._clear()

    def follow(self, path: Path) -> BinaryIO:
        """Wait until it is done, and open its standard output.

        Raises:
            ProgramError: it was cancelled.
            GivenBackError: nobody there can do it, or does.
        """
        self._collect()
        return path.open("rb")

    def finish(self) -> Completed:
        """Return how it ended; errors as of a program here."""
        done = self._collect()
        if done.failure:
            raise ProgramError(self.command, done.exit_code, done.stderr, FailureClass(done.failure))
        return Completed(self.command, done.stderr, done.seconds, done.host)

    def _collect(self) -> Done:
        """Wait until it is done, and have here what came of it."""
        done = self._wait()
        if not self._is_here:
            self.stdout.touch()
            for name in done.outputs:
                path = self.stdout if name == STDOUT else self.stdout.with_name(name)
                fetch_output(self.at.gateway.store, self.order, done, name, path)
            self._is_here = True
        return done

    def _wait(self) -> Done:
        for attempt in range(_ATTEMPTS):
            if self._done is None:
                self._run_id = self.at.courier.send(self.order, self._ticket, attempt)
                self._done = self._attempt()
        if self._done is None:
            raise GivenBackError(f"{self.at.site} did not do an order in {_ATTEMPTS} attempts")
        return self._done

    def _attempt(self) -> Done | None:
        """Wait for one attempt; return None if who did it has gone, so that another one is worth it."""
        began, seen = time.monotonic(), 0.0
        while True:
            if done := is_done(self.at.gateway.store, self.order):
                return done
            if self.cancelled():
                raise ProgramError(self.command, -1, "", FailureClass.CANCELLED)
            if ended := self.at.courier.ended(self._run_id):
                return self._after(ended)
            now = time.monotonic()
            alive = self._last_sign()
            if alive is None and now - began > self.at.patience_s:
                self.at.courier.stop(self._run_id)
                raise GivenBackError(f"nobody at {self.at.site} began with an order within {self.at.patience_s:.0f} s")
            if alive is not None and alive != seen:
                began, seen = now, alive
            if alive is not None and now - began > _SILENT_S:
                self.at.courier.stop(self._run_id)
                return None
            time.sleep(_LOOK_S)

    def _after(self, ended: str) -> Done | None:
        """Return what came of an order whose run has ended: nothing, if it was killed."""
        if done := is_done(self.at.gateway.store, self.order):
            return done
        if ended.startswith("given back"):
            raise GivenBackError(f"{self.at.site} gives an order back: {ended}")
        return None

    def _last_sign(self) -> float | None:
        try:
            return self.at.gateway.store.stat(f"{self.order.prefix}{ALIVE}").modified.timestamp()
        except ObjectMissingError:
            return None

    def _clear(self) -> None:
        """Remove the order's files: what came of it is in the results, and the same is never ordered again."""
        names: Sequence[str] = [*self.order.inputs, *(self._done.outputs if self._done else ()), ALIVE, DONE]
        self.at.gateway.store.delete(f"{self.order.prefix}{name}" for name in names)


def _published(context: SearchContext) -> Iterator[str]:
    """Yield where in the store the databases are, if they were published: who lacks them may copy them."""
    for one in context.databases:
        yield published_key(one.site, one.target, one.name, one.molecule)
        yield published_files_prefix(one.fingerprint)
