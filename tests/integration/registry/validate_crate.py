"""Validate an RO-Crate without a network: ``validate_crate.py CACHE CRATE``, in a process of its own.

The validator asks for the JSON-LD context that a crate names. It is put into the validator's cache before, from the
copy that comes with ro-crate-py.
"""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from io import BytesIO

import requests
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse

_ACCEPTED = ("*/*", "application/ld+json", "application/ld+json, application/json, */*;q=0.1")


def keep_context(cache: str) -> None:
    """Put the context where the validator looks before it asks."""
    context = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
    with CachedSession(cache, backend="sqlite", expire_after=-1) as session:
        for accepted in _ACCEPTED:
            asked = requests.Request("GET", json.loads(context)["@id"], headers={"Accept": accepted})
            answer = requests.Response()
            answer.status_code, answer.request = 200, session.prepare_request(asked)
            answer.url = str(answer.request.url)
            answer.headers["Content-Type"] = "application/ld+json"
            answer.raw = HTTPResponse(BytesIO(context), status=200, preload_content=False, request_url=answer.url)
            answer._content = context
            session.cache.save_response(answer)


def problems(cache: str, crate: str) -> tuple[int, list[str]]:
    """Return how many rules were looked at, and what is against one that must be kept."""
    found = services.validate(
        services.ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="ro-crate-1.3",
            requirement_severity=models.Severity.REQUIRED,
            offline=True,
            cache_path=cache,
        )
    )
    told = [f"{issue.check.identifier}: {issue.message} ({issue.violatingEntity})" for issue in found.get_issues()]
    return len(found.executed_checks), told


if __name__ == "__main__":
    keep_context(sys.argv[1])
    sys.stdout.write(json.dumps(problems(*sys.argv[1:])))
