"""How the Prefect server is: for the doctor, and for the health page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from deployments.server import authorization
from multiblast.environment import GATEWAY, SITE_KEY
from multiblast.gateway import Sites
from multiblast.settings import GatewayRules
from multiblast.upkeep.diagnosis import Check, Finding, Verdict, measure

_TIMEOUT_S = 5.0
_SKEW_S = (5.0, 60.0)  # from which on a clock's difference is a warning, and a failure: leases last 60 s


def check_server(api_url: str) -> Check:
    """Look whether a Prefect server, whose address ends in ``/api``, is well."""

    def ask() -> str:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=_TIMEOUT_S).raise_for_status()
        return api_url

    return measure("Prefect", ask)


def diagnose_server(api_url: str, own_version: str) -> Iterator[Finding]:
    """Look at a Prefect server: whether it answers, whether it has our version, and whether its clock agrees."""
    try:
        address = f"{api_url.rstrip('/')}/admin/version"
        answer = httpx.get(address, timeout=_TIMEOUT_S, headers=authorization(api_url))
        now = time.time()
        version = str(answer.raise_for_status().json())
    except (httpx.HTTPError, ValueError) as error:
        yield Finding("Prefect", Verdict.FAIL, f"{api_url}: {error}", "start it with make up, or mend PREFECT_API_URL")
        return
    same = version == own_version
    remedy = "" if same else "install the same version at both ends: make install"
    detail = f"{version} at {api_url}" + ("" if same else f"; here it is {own_version}")
    yield Finding("Prefect", Verdict.OK if same else Verdict.WARN, detail, remedy)
    if date := answer.headers.get("date"):
        yield _compare_clocks(now - parsedate_to_datetime(date).timestamp())


def diagnose_gateway(url: str, site_key: str) -> Iterator[Finding]:
    """Look at the gateway that this machine works for others by: whether it answers, and takes the key of the site."""
    try:
        greeting = httpx.get(f"{url.rstrip('/')}/health", timeout=_TIMEOUT_S).raise_for_status().json()
        is_gateway = greeting["gateway"] == "multiblast"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        remedy = f"mend {GATEWAY}, or have policy.gateway.enabled switched on there"
        yield Finding("gateway", Verdict.FAIL, f"{url}: {error}", remedy)
        return
    yield Finding("gateway", Verdict.OK if is_gateway else Verdict.WARN, f"{url} answers")
    if not site_key:
        yield Finding(
            "site key", Verdict.FAIL, "there is none", f"set {SITE_KEY}: multiblast sites add prints it there"
        )
        return
    # With no ticket there is no grant; which of the two is refused says whether the key is good.
    shown = {"Authorization": f"Bearer {site_key}"}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/grants", json={"ticket": ""}, headers=shown, timeout=_TIMEOUT_S)
    except (httpx.HTTPError, UnicodeError) as error:
        yield Finding("site key", Verdict.FAIL, type(error).__name__, f"mend {SITE_KEY}")
        return
    if answer.status_code == httpx.codes.FORBIDDEN:
        yield Finding("site key", Verdict.OK, "the gateway takes it")
    else:
        remedy = f"have the site added again there, and set {SITE_KEY} to what that prints"
        yield Finding("site key", Verdict.FAIL, f"the gateway refuses it (answer {answer.status_code})", remedy)


def diagnose_sites(sites: Sites, rules: GatewayRules) -> Iterator[Finding]:
    """Look whether the sites that are to help can: nothing is found where none are named."""
    there = {site.name for site in sites.list() if site.removed_at is None} if rules.sites else set()
    for name in rules.sites:
        if name not in there:
            remedy = f"multiblast sites add {name}, or take it out of policy.gateway.sites"
            yield Finding("site", Verdict.WARN, f"{name!r} is to help, and does not exist", remedy)
    if rules.sites and not rules.enabled:
        detail = f"it is off, and {', '.join(rules.sites)} cannot help"
        yield Finding("gateway", Verdict.WARN, detail, "switch policy.gateway.enabled on")
    elif rules.sites and there.issuperset(rules.sites):
        yield Finding("gateway", Verdict.OK, f"on, for {', '.join(rules.sites)}")


def _compare_clocks(skew_s: float) -> Finding:
    verdict, remedy = Verdict.OK, ""
    if abs(skew_s) > _SKEW_S[0]:
        verdict = Verdict.FAIL if abs(skew_s) > _SKEW_S[1] else Verdict.WARN
        remedy = "let both machines take their time from the network (NTP)"
    side = "ahead of" if skew_s > 0 else "behind"
    detail = f"{abs(skew_s):,.0f} s {side} the server"
    if abs(skew_s) <= 1:  # the server gives whole seconds
        detail = "as the server's"
    return Finding("clock", verdict, detail, remedy)
