"""How the Prefect server is: for the doctor, and for the health page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from deployments.server import authorization
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
