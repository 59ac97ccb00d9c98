"""What all routes of the service share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from multiblast.gateway import Gateway
from multiblast.services import Services
from web.guard import HttpMetrics
from web.memory import Memory
from web.runs import Runs
from web.watch import Watch


@dataclass(frozen=True, slots=True)
class Service:
    """What all routes share.

    Attributes:
        services: What does all the work.
        runs: What starts what was submitted.
        watch: What waits for jobs.
        metrics: Of the requests.
        memory: What was answered before.
        gateway: What machines elsewhere fetch from and push to.
    """

    services: Services
    runs: Runs
    watch: Watch
    metrics: HttpMetrics
    memory: Memory
    gateway: Gateway


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOfRequest = Annotated[Service, Depends(_service)]
