"""The application of the local registry: its REST API, and its pages where somebody is to look at them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from multiblast.registry.api.local_api import LocalApi
from multiblast.settings import HttpRules
from web.guard import Guard, HttpMetrics
from web.registry.api_routes import api_routes


def make_registry_application(api: LocalApi, key: str = "") -> ASGIApp:
    """Return the local registry as an ASGI application.

    Args:
        api: What does all the work.
        key: What opens the pages; without one there are none.
    """
    # A page elsewhere could have its name stand for this machine, and read what it likes.
    own_names = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app = Starlette(routes=api_routes(), middleware=[own_names])
    app.router.redirect_slashes = False
    app.state.api = api
    if key:
        from web.registry.pages import add_pages

        add_pages(app, key)
    return Guard(app, HttpRules(), HttpMetrics())
