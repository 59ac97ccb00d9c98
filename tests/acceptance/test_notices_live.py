"""Whoever asked is told how a job ended: by a signed notice, and by automations made from the templates."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.places import ROOT
from tests.support.processes import wait_for
from tests.support.small_servers import QuietHandler, listening_with

pytestmark = pytest.mark.long

SECRET = "between us"  # noqa: S105 - of this test
_MAKE_BLOCKS = """
import sys
from prefect.blocks.system import Secret
from prefect.blocks.webhook import Webhook
Secret(value=sys.argv[1]).save("multiblast-notices", overwrite=True)
print(Webhook(method="POST", url=sys.argv[2]).save("told", overwrite=True))
"""
Told = list[tuple[str, dict[str, str], bytes]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Told]]:
    """An HTTP server: its address, and what was posted to it."""
    told: Told = []

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            told.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with listening_with(Handler) as server:
        yield f"http://127.0.0.1:{server.server_port}", told


def test_ended_jobs_are_told_by_notice_and_by_automation(
    prefect_api: httpx.Client, live: dict[str, str], receiver: tuple[str, Told], tmp_path: Path
) -> None:
    url, told = receiver
    environment = {**live, "PREFECT_API_URL": f"{live['UI_URL']}/api"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    block = run("-c", _MAKE_BLOCKS, SECRET, f"{url}/automation").splitlines()[-1]
    template = (ROOT / "deployments" / "notices" / "webhook.yaml").read_text()
    (tmp_path / "webhook.yaml").write_text(template.replace("00000000-0000-0000-0000-000000000000", block))
    run("-m", "prefect", "automation", "create", "--from-file", str(tmp_path / "webhook.yaml"))

    def on(path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for told_path, _, body in told if told_path == path]

    def submit(**parameters: Any) -> None:
        found = prefect_api.get("/deployments/name/submit-query/submit-query").raise_for_status().json()
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        prefect_api.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status()

    submit(query=">q\nMKVLAAGIVGLCAKAYWQ\n", targets=["demo/examples/proteins"], notify=f"{url}/notice")
    submit(query=">q\nMKV?LA\n", targets=["demo/examples/proteins"], notify=f"{url}/notice")
    wait_for(lambda: len(on("/automation")) >= 2 and on("/notice"))
    (notice,) = on("/notice")
    assert notice["event"] == "query.complete"
    headers, body = next((headers, body) for path, headers, body in told if path == "/notice")
    signed = dict(part.split("=") for part in headers["Multiblast-Signature"].split(","))
    assert signed["v1"] == hmac.new(SECRET.encode(), signed["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    states = {call["state"]: call for call in on("/automation")}
    assert set(states) == {"Completed", "Failed"}
    assert states["Failed"]["flow"] == "submit-query"
    assert "/runs/flow-run/" in states["Failed"]["page"]
