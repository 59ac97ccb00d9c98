"""Take pictures of the dashboard, and of runs under way, done, failed and cancelled: ``make screenshots``.

Needs a server (``make up``) with the demo databases, and Chromium.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from make_screenshots import PATIENCE_MS, browser, some_proteins
from picture_flows import DOCS, PROTEINS, Album, query
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.client.schemas.objects import State
from prefect.states import Cancelling

SEQUENCES = 600
TARGETS = ["demo/examples/proteins"]
BROKEN = ">first kinase\nMKVLAAG#VGLC\n>second kinase\n\n>third kinase\nMKVLAAGIVGLC\n"


class Submissions:
    """Submits as the form of submit-blastp does, and tells how runs are."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._deployment = client.read_deployment_by_name("submit-blastp/submit-blastp").id

    def start(self, text: str, summary: str) -> UUID:
        """Submit a query; return the flow run's id."""
        parameters = {"query": text, "targets": TARGETS, "user": "ann", "summary": summary}
        return self._client.create_flow_run_from_deployment(self._deployment, parameters=parameters).id

    def cancel(self, run: UUID) -> None:
        """Do what the button does."""
        self._client.set_flow_run_state(run, Cancelling())

    def has_ended(self, run: UUID) -> bool:
        """Tell whether a run is at its end."""
        state: State[Any] | None = self._client.read_flow_run(run).state
        return state is not None and state.is_final()

    def is_half_way(self, run: UUID) -> bool:
        """Tell whether a run shows that some of its search is done, and not all."""
        of_run = ArtifactFilterFlowRunId(any_=[run])
        shown = ArtifactFilter(flow_run_id=of_run, type=ArtifactFilterType(any_=["progress"]))
        return any(float(str(found.data)) > 0 for found in self._client.read_artifacts(artifact_filter=shown))


def until(reached: Callable[[UUID], bool], run: UUID) -> None:
    """Wait for something that becomes of a run."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not reached(run):
        if time.monotonic() > deadline:
            raise SystemExit(f"run {run} did not come so far")
        time.sleep(0.2)


def main() -> None:
    """Make the pictures of `docs/how-to/watch-runs.md`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:4200", help="where the UI is")
    arguments = parser.parse_args()
    images = DOCS / "images" / "runs"
    images.mkdir(parents=True, exist_ok=True)
    with browser() as opened, get_client(sync_client=True) as client:
        submissions, album = Submissions(client), Album(opened.new_page(), arguments.url, images)
        run = submissions.start(some_proteins(SEQUENCES), "All of the proteome")
        until(submissions.is_half_way, run)
        album.page("running", f"runs/flow-run/{run}", "Artifacts")
        submissions.cancel(run)
        until(submissions.has_ended, run)
        album.page("cancelled", f"runs/flow-run/{run}", "Artifacts")
        done = submissions.start(query(PROTEINS, 12), "Kinases, first look")
        failed = submissions.start(BROKEN, "Kinases, typed by hand")
        for run, name, tab in ((done, "done", "Artifacts"), (failed, "failed", "Artifacts")):
            until(submissions.has_ended, run)
            album.page(name, f"runs/flow-run/{run}", tab)
        album.page("dashboard", "dashboard")


if __name__ == "__main__":
    main()
