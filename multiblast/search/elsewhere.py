"""Searches that are done elsewhere: ordered, waited for, fetched; all else of a batch stays here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from multiblast.errors import ConflictError, FailureClass, ObjectMissingError, ProgramError
from multiblast.gateway import Gateway
from multiblast.jobs import Jobs
from multiblast.object_kinds import published_files_prefix, published_key
from multiblast.programs import Completed
from multiblast.search.batch_search import Started
from multiblast.search.context import PROFILE_FILE, QUERY_FILE
from multiblast.search.orders import ALIVE, ALIVE_EVERY_S, ARCHIVE, DONE, Done, Order, fetch_output, is_done

_LOOK_S = 1.0
_SILENT_S = 12 * ALIVE_EVERY_S
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
        job = self.jobs.query(search.context.job_id)
        files = [path for name in (QUERY_FILE, PROFILE_FILE) if (path := search.directory / name).is_file()]
        order = Order(
            job_id=job.id,
            search_key=search.context.search_key,
            program=job.program,
            options=job.recipe["options"],
            site=job.site,
            targets=tuple((target["targetDisplayName"], target["targetFile"]) for target in job.recipe["targets"]),
            inputs={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
            one_by_one=search.one_by_one,
            time_limit_s=search.time_limit_s,
        )
        databases = [
            key
            for one in search.context.databases
            for key in (
                published_key(one.site, one.target, one.name, one.molecule),
                published_files_prefix(one.fingerprint),
            )
        ]
        return RunElsewhere(self, order, search.directory, search.cancelled, tuple(search.command), databases)


@dataclass
class RunElsewhere:
    """One search elsewhere, that is used as a `multiblast.programs.Program` here is.

    Attributes:
        databases: Where in the store its databases are, if they were published: who lacks them may copy them.
    """

    at: Elsewhere
    order: Order
    directory: Path
    cancelled: Callable[[], bool]
    command: tuple[str, ...]
    databases: list[str]
    _run_id: str = ""
    _ticket: str = ""
    _done: Done | None = field(default=None)

    def __enter__(self) -> Self:
        store = self.at.gateway.store
        self._done = is_done(store, self.order)  # by an attempt whose end nobody here has seen
        if self._done is None:
            for name in self.order.inputs:
                with (self.directory / name).open("rb") as file:
                    store.put(f"{self.order.prefix}{name}", file)
            self._ticket = self.at.gateway.tickets.make(
                site=self.at.site,
                reads=[*self.order.reads, *self.databases],
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
        """Wait until it is done, and open the archive.

        Raises:
            ProgramError: it was cancelled.
            GivenBackError: nobody there can do it, or does.
        """
        done = self._wait()
        if done.failure:
            path.touch()
        else:
            for name in done.outputs:
                here = path if name == ARCHIVE else self.directory / name
                fetch_output(self.at.gateway.store, self.order, done, name, here)
        return path.open("rb")

    def finish(self) -> Completed:
        """Return how it ended; errors as of a program here."""
        done = self._wait()
        if done.failure:
            raise ProgramError(self.command, done.exit_code, done.stderr, FailureClass(done.failure))
        return Completed(self.command, done.stderr, done.seconds, done.host)

    def _wait(self) -> Done:
        for attempt in range(_ATTEMPTS):
            if self._done is None:
                self._run_id = self.at.courier.send(self.order, self._ticket, attempt)
                self._done = self._attempt()
        if self._done is None:
            raise GivenBackError(f"{self.at.site} did not do an order in {_ATTEMPTS} attempts")
        return self._done

    def _attempt(self) -> Done | None:
        """Wait for one attempt; return None if whoever did it has gone, so that another one is worth it."""
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
