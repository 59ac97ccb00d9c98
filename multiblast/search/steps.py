"""The steps of a run of a query job, and their order, whatever takes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from multiblast.outages import patiently

if TYPE_CHECKING:
    from multiblast.search.batches import Batch
    from multiblast.search.plan import Plan
    from multiblast.search.run import SearchRun
    from multiblast.search.searched_job import SearchedJob

_LOOK_UP_S = 0.5  # so often the first thread goes on: Ctrl-C may interrupt another, and is not heard before


@dataclass
class Steps:
    """The steps of a run and their order; a subclass may take a step elsewhere, show it, or call helpers.

    They are asynchronous for those that wait for steps taken elsewhere; here none waits.
    """

    run: SearchRun
    made: Plan | None = None

    async def execute(self) -> SearchedJob:
        """Take one step after the other; an error in any of them fails the job."""
        try:
            plan = await self.plan()
            await self.start(plan)
            await self.search(plan)
            job = await self.finish(plan)
        except BaseException as error:
            self.fail(error)
            raise
        await self.show(job)
        return job

    def execute_here(self) -> SearchedJob:
        """Take all steps in this process; none waits, so no event loop is needed, and one may run in this thread."""
        try:
            self.execute().send(None)
        except StopIteration as end:
            job: SearchedJob = end.value
            return job
        raise RuntimeError("a step waited, outside of an event loop")

    async def plan(self) -> Plan:
        """Find out what is known and what must be searched."""
        return self.made or self.run.plan()

    async def start(self, plan: Plan) -> None:
        """Note that the job now runs."""
        self.run.start(plan)

    async def search(self, plan: Plan) -> None:
        """Search one batch after the other; what is known needs to be shown nowhere."""
        for batch in plan.to_run:
            self.run.search(batch)

    async def finish(self, plan: Plan) -> SearchedJob:
        """Bring the job to its end."""
        return self.run.finish(plan.lost)

    def fail(self, error: BaseException) -> None:
        """Note that the run ended in an error, or was cancelled."""
        self.run.fail(error)

    async def show(self, job: SearchedJob) -> None:
        """Show what was found."""


@dataclass
class LargeSteps(Steps):
    """The steps of what may be a large job, all of them in this process.

    As many batches are searched at a time as there are cores. What may pass is tried again, as flows do.
    """

    _failed: Event = field(default_factory=Event, init=False)
    _interrupted: Event = field(default_factory=Event, init=False)
    _has_said_why: bool = field(default=False, init=False)

    async def plan(self) -> Plan:
        """Find out what is known and what must be searched."""
        return self.made or patiently(self.run.plan)

    async def search(self, plan: Plan) -> None:
        """Search all batches; after a failure those that were not begun are left."""
        self.run.given_up = self._interrupted.is_set
        with ThreadPoolExecutor(self.run.engine.installation.workers, "search") as pool:
            searches = [pool.submit(self._search, batch) for batch in plan.to_run]
            try:
                left = set(searches)
                while left:
                    left = wait(left, _LOOK_UP_S).not_done
            except BaseException as error:
                self._failed.set()
                self._interrupted.set()
                self.fail(error)  # now: what runs ends by it, and is waited for
                raise
        for search in searches:
            search.result()

    async def finish(self, plan: Plan) -> SearchedJob:
        """Bring the job to its end."""
        return patiently(lambda: self.run.finish(plan.lost))

    def fail(self, error: BaseException) -> None:
        """Note that the run ended in an error, once: a moment later somebody else may run the job."""
        if not self._has_said_why:
            self._has_said_why = True
            super().fail(error)

    def _search(self, batch: Batch) -> None:
        if self._failed.is_set():
            return
        try:
            patiently(lambda: self.run.search(batch), self._interrupted.wait)
        except BaseException:
            self._failed.set()
            raise
