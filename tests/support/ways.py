"""Services with jobs of each kind, and the ways to act on them: methods, commands and flows."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from multiblast.settings import PluginRules, Policy
from tests.support.places import EXAMPLES, ROOT
from tests.support.plugins import SORT, write_plugin


@dataclass
class World:
    """Services with a searched job and its report, and the ways to them."""

    services: Any
    runner: CliRunner
    loop: asyncio.Runner
    job: str
    report: str
    target: str
    plugin: str = ""
    lines: str = ""

    def flow(self, name: str, /, **parameters: Any) -> Any:
        from prefect.flows import load_flow_from_entrypoint

        deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
        entrypoint = next(item["entrypoint"] for item in deployments if item["name"] == name)
        return self.loop.run(load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)(**parameters))

    def command(self, *words: str) -> Any:
        from deployments.command_line import app

        done = self.runner.invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.command(*words))

    def new_job(self, number: int) -> str:
        """Record a job that waits."""
        from multiblast.search import read_submission

        query = f">n{number}\n{'MKVLAAGIVQ' * (number + 2)}\n"
        return str(self.services.queries.submit(self.ann, read_submission(query=query, targets=[self.target])).job_id)

    def new_plugin_job(self, number: int) -> str:
        """Record a plugin job that waits."""
        inputs = {"text": [f"data:text/plain,line%20{number}"]}
        return str(self.services.plugin_jobs.submit(self.ann, "sort-lines", inputs, {"order": "down"}))

    def new_report(self, number: int) -> str:
        """Record a report that waits."""
        config = {"queryJobID": self.job, "blastConfig": {"formatType": 0, "numAlignments": number}}
        return str(self.services.reports.create(self.ann, config).report_job_id)

    def mine(self, group: str) -> str:
        """Return the job of a group of actions."""
        return {"jobs": self.job, "reports": self.report, "plugins": self.plugin}[group]

    @property
    def ann(self) -> Any:
        return self.services.accounts.requester("ann")


@contextmanager
def opened_world(home: Path, prefect_url: str) -> Iterator[World]:
    """Give services of a user, ann, in a home of their own, which flows and commands of this process use, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBLAST_HOME", str(home))
        patch.setenv("MULTIBLAST_USER", "ann")
        patch.chdir(ROOT)
        from prefect.settings import PREFECT_API_URL, temporary_settings

        from blocks.services import using
        from deployments.command_line.demo import build_demo_targets
        from multiblast.services import Services

        build_demo_targets(home / "targets")
        services = Services.embedded()
        write_plugin(home / "plugins", SORT)
        services.policy = Policy(plugins=PluginRules(folders=(str(home / "plugins"),)))
        patch.setattr("multiblast.services.Services.embedded", lambda _root=None: services)
        (home / "lines.txt").write_text("pear\napple\n")
        settings = temporary_settings({PREFECT_API_URL: prefect_url})
        with settings, using(services), asyncio.Runner() as loop:
            yield _filled(services, loop, str(home / "lines.txt"))
        services.database.close()
    gc.collect()


def _filled(services: Any, loop: asyncio.Runner, lines: str) -> World:
    """Search two sequences, and make a report and a plugin job, by their flows."""
    world = World(services, CliRunner(), loop, "", "", "demo/examples/proteins", lines=lines)
    query = (EXAMPLES / "protein_query.fasta").read_text().split(">")
    found = world.flow("submit-query", query=">" + ">".join(query[9:11]), targets=[world.target], user="ann")
    world.job = found.job_id
    world.report = world.flow("make-report", job=world.job, format="7", user="ann").report_id
    world.plugin = world.flow("run-plugin", plugin="sort-lines", inputs={"text": lines}, user="ann").job_id
    return world
