"""Prefect's server makes the runs of schedules: with some versions of its libraries it cannot, and hardly tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCHEDULE = """
import asyncio
from datetime import timedelta
from prefect.server import models, schemas
from prefect.server.database import provide_database_interface
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

async def main():
    database = provide_database_interface()
    await database.create_db()
    async with database.session_context(begin_transaction=True) as session:
        flow = await models.flows.create_flow(session, schemas.core.Flow(name="expire"))
        for rule in (IntervalSchedule(interval=timedelta(hours=12)), CronSchedule(cron="30 3 * * *")):
            schedule = schemas.core.DeploymentSchedule(schedule=rule, active=True)
            deployment = schemas.core.Deployment(name=type(rule).__name__, flow_id=flow.id, schedules=[schedule])
            made = await models.deployments.create_deployment(session, deployment)
            print(deployment.name, len(await models.deployments.schedule_runs(session, made.id)))

asyncio.run(main())
"""


@pytest.mark.long
def test_schedule_makes_runs(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = kept | {"HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _SCHEDULE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = dict(line.split() for line in done.stdout.splitlines())
    assert {name: int(count) > 0 for name, count in made.items()} == {"IntervalSchedule": True, "CronSchedule": True}
