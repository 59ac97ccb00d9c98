"""Everything multiblast does, over the places it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from multiblast.accounts import Access, Accounts, FairQueue, Requester
from multiblast.database import Database, JobKind, utc_now
from multiblast.errors import InvalidInputError, Problem
from multiblast.installation import Installation
from multiblast.search.plugins import find_plugins_by
from multiblast.settings import Policy, QueryLimits, home
from multiblast.stores import LocalStore, Store
from multiblast.targets import Targets

if TYPE_CHECKING:
    from multiblast.actions import Queries, Reports
    from multiblast.actions.plugin_chains import PluginChains
    from multiblast.actions.plugin_jobs import PluginJobs
    from multiblast.actions.provenance import Provenance
    from multiblast.actions.registered_queries import RegisteredQueries
    from multiblast.actions.wanted_reports import WantedReports
    from multiblast.gateway import Gateway
    from multiblast.grown.refused_ways import RefusedWays
    from multiblast.plugins.catalogue import Catalogue
    from multiblast.plugins.environments import Environments
    from multiblast.registry.local.registry import Registry
    from multiblast.results.store_mark import StoreMark
    from multiblast.search import SearchEngine
    from multiblast.upkeep import CleanedUp, Expiry, Notices, StorageUpkeep, Webhooks
    from multiblast.upkeep.diagnosis import Check
    from multiblast.upkeep.reconciliation import Waiting

    Door = Queries | Reports | PluginJobs


def no_secret(name: str) -> str:
    """Refuse to look up a secret where there are none."""
    raise InvalidInputError(Problem(f"no secret {name!r} can be read here: run the plugin by its flow", "parameters"))


def own_registry() -> Registry:
    """Open the registry that needs nothing but a directory."""
    from multiblast.registry.local.registry import Registry

    return Registry.embedded()


@dataclass
class Services:
    """The places multiblast works with, and the services over them.

    Attributes:
        secret: Returns the text that a plugin's parameter names as a secret.
        registry: Opens the registry of data products.
    """

    database: Database
    store: Store
    installation: Installation
    targets: Targets
    limits: QueryLimits
    policy: Policy = field(default_factory=Policy)
    secret: Callable[[str], str] = no_secret
    registry: Callable[[], Registry] = own_registry

    def __post_init__(self) -> None:
        """Have search plugins found by the policy's rules, and the store looked at before it is used."""
        find_plugins_by(self.policy.plugins)
        if self.store.may_be_marked:
            self.store.guard(self._look_at_store)

    @classmethod
    def embedded(cls, targets_root: Path | None = None) -> Services:
        """Return services that need nothing but a directory: SQLite and files under `settings.home`."""
        base = home()
        return cls(
            Database(f"sqlite:///{base / 'jobs.sqlite'}"),
            LocalStore(base / "store"),
            Installation(),
            Targets(targets_root) if targets_root else Targets.own(),
            QueryLimits(),
        )

    @cached_property
    def store_mark(self) -> StoreMark:
        """By what the store is known."""
        from multiblast.results.store_mark import StoreMark

        return StoreMark(self.database)

    def _look_at_store(self, store: Store, *, writing: bool) -> None:
        self.store_mark.check(store, writing=writing)

    @cached_property
    def queries(self) -> Queries:
        """Every action on query jobs, and the runs that search them."""
        from multiblast.actions.queries import Queries

        settles_known = not self.policy.provenance  # which runs record
        return Queries(
            self._engine,
            self.limits,
            self.accounts,
            self.fair_queue,
            self.notices,
            settles_known=settles_known,
            references=self.policy.references,
        )

    @cached_property
    def reports(self) -> Reports:
        """Every action on report jobs, and the runs that make them."""
        from multiblast.actions.reports import Reports

        return Reports(self._engine, self.accounts, self.notices)

    @cached_property
    def wanted_reports(self) -> WantedReports:
        """Reports that submissions name."""
        from multiblast.actions.wanted_reports import WantedReports

        return WantedReports(self._engine, self.reports)

    def begin_search(self, job_id: str) -> list[Waiting]:
        """Begin a submitted query job, and its reports if it is complete; return what runs are to be started for."""
        waiting = self.queries.begin(job_id)
        return [waiting] if waiting else self.wanted_reports.begin(job_id)

    @cached_property
    def catalogue(self) -> Catalogue:
        """All plugins of this machine."""
        from multiblast.plugins.catalogue import Catalogue

        return Catalogue(self.policy.plugins)

    @cached_property
    def environments(self) -> Environments:
        """What plugins run in that need packages of Python."""
        from multiblast.plugins.environments import Environments

        return Environments()

    @cached_property
    def plugin_jobs(self) -> PluginJobs:
        """Every action on plugin jobs, and the runs that do them."""
        from multiblast.actions.plugin_inputs import PluginInputs
        from multiblast.actions.plugin_jobs import PluginJobs
        from multiblast.actions.plugin_sources import PluginSources
        from multiblast.plugins.workshop import Workshop

        rules, threads = self.policy.plugins, self.installation.workers
        workshop = Workshop(
            self.database, self.store, self.catalogue, self.environments, rules.sandbox, threads, secret=self.secret
        )
        access, references, most = Access(self.database), self.policy.references, self.limits.query_bytes
        sources = PluginSources(
            workshop.jobs, access, self.queries, self.reports, self.store, references, most, self.registry
        )
        return PluginJobs(workshop, PluginInputs(sources), self.accounts, self.notices)

    @cached_property
    def plugin_chains(self) -> PluginChains:
        """Plugin jobs one after the other."""
        from multiblast.actions.plugin_chains import PluginChains

        return PluginChains(self.plugin_jobs)

    def job_door(self, job_id: str) -> Door:
        """Return the door of a job's kind; `NotFoundError` if there is no such job."""
        return self.door(self._engine.jobs.kind(job_id))

    def door(self, kind: JobKind) -> Door:
        """Return the door of a kind of jobs."""
        if kind is JobKind.PLUGIN:
            return self.plugin_jobs
        return self.queries if kind is JobKind.QUERY else self.reports

    def whole_id(self, requester: Requester, beginning: str) -> str:
        """Return the id of the one job that begins so, of those a requester may read: see `Access.whole_id`."""
        return Access(self.database).whole_id(requester, beginning)

    @cached_property
    def accounts(self) -> Accounts:
        """Users and guests."""
        return Accounts(self.database, self.policy)

    @cached_property
    def fair_queue(self) -> FairQueue:
        """Whose batch is searched next."""
        return FairQueue(self.database, self.policy.batches_at_a_time)

    @cached_property
    def gateway(self) -> Gateway:
        """What machines elsewhere fetch from and push to."""
        from multiblast.gateway import Gateway

        return Gateway(self.database, self.store, home() / "gateway")

    @cached_property
    def provenance(self) -> Provenance:
        """What records jobs in a registry."""
        from multiblast.actions.provenance import Provenance

        return Provenance(self.database, self.store)

    @cached_property
    def registered_queries(self) -> RegisteredQueries:
        """Queries that configurations of the registry describe."""
        from multiblast.actions.registered_queries import RegisteredQueries

        return RegisteredQueries(
            self.queries, self.reports, self.accounts, self.provenance, self.targets, self.installation
        )

    @cached_property
    def _engine(self) -> SearchEngine:
        from multiblast.search import SearchEngine

        return SearchEngine(self.database, self.store, self.installation, self.targets, self.policy.grown)

    @property
    def notices(self) -> Notices:
        """Notifications of ended jobs."""
        from multiblast.upkeep import Notices

        return Notices(self.database, self.policy.notices)

    @property
    def webhooks(self) -> Webhooks:
        """Notifications of what changes of plugin jobs."""
        from multiblast.upkeep import Webhooks

        return Webhooks(self.database, self.policy.notices)

    @property
    def expiry(self) -> Expiry:
        """Removal of results that nobody used."""
        from multiblast.upkeep import Expiry

        return Expiry(self.database, self.policy.keep_days)

    @property
    def storage_upkeep(self) -> StorageUpkeep:
        """What keeps store and database in step."""
        from multiblast.upkeep import StorageUpkeep

        return StorageUpkeep(self.database, self.store, self.policy.keep_days)

    @property
    def refused_ways(self) -> RefusedWays:
        """Ways of searching parts of databases that are switched off."""
        from multiblast.grown.refused_ways import RefusedWays

        return RefusedWays(self.database)

    def keep_states(self) -> int:
        """Note what the databases are now, for the time when they have grown; return for how many that was new."""
        return self._engine.states.keep(self.targets.databases()) if self.policy.grown.enabled else 0

    def clean_up(self, *, dry_run: bool = False) -> CleanedUp:
        """Let go what nobody used for the policy's time, and free its space."""
        from multiblast.plugins.git_sources import Checkouts
        from multiblast.plugins.search_databases import sweep_databases
        from multiblast.results.compaction import compact
        from multiblast.upkeep import CleanedUp

        expired = self.expiry.run(dry_run=dry_run)
        if dry_run:
            return CleanedUp(expired)
        self.notices.sweep()
        # In this order: packs lose entries by expiry, and are swept once compaction has discarded them; and tickets go
        # with the jobs that have expired.
        self.environments.sweep()
        Checkouts().sweep()
        compacted, swept = compact(self.database, self.store), self.storage_upkeep.sweep()
        cutoff = utc_now() - timedelta(days=self.policy.keep_days)
        sweep_databases(cutoff)
        return CleanedUp(expired, compacted, swept, self.gateway.sweep(cutoff))

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        from multiblast.upkeep.metrics import metrics

        return metrics(self.database)

    def health(self) -> list[Check]:
        """Return the state of everything that the services depend on."""
        from multiblast.upkeep.diagnosis import health

        return health(self.database, self.store, self.installation, self.targets)
