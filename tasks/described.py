"""Queries that configurations of the registry describe, run as part of a flow run."""

from __future__ import annotations

from prefect.runtime import flow_run

from blocks.services import services
from multiblast.registry.config.schema import SearchEntry
from multiblast.registry.config.searches import QueryRequest, SearchRecord

__all__ = ["FlowQueries"]


class FlowQueries:
    """The services' queries, as `multiblast.registry.config.searches.QueryRunner`; opened only if there is one."""

    def settle(self, search: SearchEntry) -> SearchEntry:
        """Return a query with nothing left to look up."""
        return services().registered_queries.settle(search)

    def run(self, request: QueryRequest) -> SearchRecord:
        """Run a query for the registry's user, and write its reports."""
        return services().registered_queries.run(request, run_id=str(flow_run.id or ""))
