"""The application: all surfaces of the service, behind one guard."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from multiblast.environment import HTTP_URL
from multiblast.network import host_of
from multiblast.services import Services
from web import operation_routes, plugin_routes, query_routes, report_routes
from web.errors import add_error_handlers
from web.gateway import objects, qiita, uploads
from web.guard import Guard, HttpMetrics
from web.legacy.application import legacy_application
from web.memory import Memory
from web.ncbi import routes as ncbi_routes
from web.pages import routers as page_routers
from web.pages.page import add_error_pages
from web.qhana import routes as qhana_routes
from web.runs import Runs, Starter
from web.service import Service
from web.watch import Watch

_DESCRIPTION = (
    "Searches sequences with BLAST+, each distinct one once, and makes reports exactly as BLAST+ prints them. "
    "Send your token as Authorization: Bearer TOKEN. Every error is {status, message, requestId}."
)


def make_application(services: Services, starter: Starter) -> ASGIApp:
    """Return the service as an ASGI application.

    Args:
        services: What does all the work.
        starter: What starts the runs of jobs.
    """
    legacy = legacy_application()
    rules, metrics = services.policy.http, HttpMetrics()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        watch = Watch(services)
        runs = Runs(services, starter, watch.look)
        runs.resume()
        shared = Service(services, runs, watch, metrics, Memory(services.database), services.gateway)
        app.state.service = legacy.state.service = shared
        yield
        await runs.close()
        services.database.close()

    app = FastAPI(
        title="multiblast", version="2.0", description=_DESCRIPTION, lifespan=life, docs_url=None, redoc_url=None
    )
    add_error_handlers(app)
    own = (query_routes, report_routes, plugin_routes, ncbi_routes, operation_routes)
    has_gateway = services.policy.gateway.enabled
    gateway = (objects.router, uploads.router, qiita.router) if has_gateway else ()
    qhana = (qhana_routes.router,) if services.policy.plugins.qhana else ()
    for router in (*(routes.router for routes in own), *gateway, *qhana, *page_routers()):
        app.router.routes.extend(router.routes)  # as they are: to include a router makes each route again
    app.mount("/multi-blast", legacy)
    answer = add_error_pages(app)
    if rules.origins:
        exposed = ["ETag", "Link", "Location", "Retry-After", "X-Request-Id", "Content-Range", "Content-Disposition"]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=rules.origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
    names = _own_names() if services.policy.trust_unnamed else None
    return Guard(app, rules, metrics, names, frozenset({qiita.PUSH}) if has_gateway else frozenset(), answer)


def _own_names() -> set[str]:
    """Return how this machine may be called, in lower case."""
    return {"localhost", socket.gethostname().lower(), host_of(os.environ.get(HTTP_URL, ""))}
