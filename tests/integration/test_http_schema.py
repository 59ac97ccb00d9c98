"""The OpenAPI document holds: no answer that it does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.http_service import HereStarter, serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "2")  # of each route; 60 take three minutes


def test_http_document_holds(services_under: Callable[..., Services]) -> None:
    """As an administrator, who gets furthest; everybody else's refusals are in the authorization table."""
    plugins = PluginRules(qhana=True)
    services = services_under(Policy(trust_unnamed=False, administrators=frozenset({"root"}), plugins=plugins))
    token = services.accounts.tokens.make("root", "tests")
    with serving(services, HereStarter(services)) as url:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{url}/openapi.json",
            "--header",
            f"Authorization: Bearer {token}",
        ]
        command += ["--checks", CHECKS, "--phases", "examples,fuzzing", "--max-examples", EXAMPLES, "--seed", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]
