"""What all searches of a process share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from multiblast.database import Database
from multiblast.installation import Installation
from multiblast.jobs import Jobs
from multiblast.settings import GrownRules
from multiblast.stores import Store
from multiblast.targets import Targets

if TYPE_CHECKING:  # what reading jobs does without
    from multiblast.database import QueryJob
    from multiblast.grown.states import States
    from multiblast.results import Results
    from multiblast.search.context import SearchContext
    from multiblast.search.resolver import Resolver
    from multiblast.sequences import Sequence


@dataclass
class SearchEngine:
    """Where jobs are recorded, queries and results are kept; programs and databases of this machine."""

    database: Database
    store: Store
    installation: Installation
    targets: Targets
    grown: GrownRules = field(default_factory=GrownRules)

    @cached_property
    def jobs(self) -> Jobs:
        """All jobs."""
        return Jobs(self.database)

    @cached_property
    def results(self) -> Results:
        """All results."""
        from multiblast.results import Results

        return Results(self.database, self.store)

    @cached_property
    def states(self) -> States:
        """What databases were before."""
        from multiblast.grown.states import States

        return States(self.database, self.store, self.grown.sequences)

    @cached_property
    def resolver(self) -> Resolver:
        """What finds the databases that jobs name."""
        from multiblast.search.resolver import Resolver

        return Resolver(self.installation, self.targets)

    def sequences(self, job: QueryJob) -> Iterator[Sequence]:
        """Yield the sequences of a query job, in order."""
        from multiblast.sequences import read_canonical

        with closing(self.store.open(job.query_key, job.query_offset, job.query_bytes)) as stream:
            yield from read_canonical(stream)

    def context(self, job_id: str) -> SearchContext:
        """Return what a job's batches share; its databases as they are now: see `Resolver.context`."""
        return self.resolver.context(self.jobs.query(job_id))
