"""Plugin jobs over HTTP: what they made, files as they are and directories as zips."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from multiblast.services import Services
from multiblast.settings import PluginRules, Policy
from tests.support.http_service import HereStarter, ended, serving
from tests.support.plugin_tables import DIRECTORY
from tests.support.plugins import write_plugin


@pytest.fixture
def client(services_under: Callable[..., Services], tmp_path: Path) -> Iterator[httpx.Client]:
    write_plugin(tmp_path / "plugins", DIRECTORY)
    services = services_under(Policy(plugins=PluginRules(folders=(str(tmp_path / "plugins"),))))
    with serving(services, HereStarter(services)) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


def test_directory_that_a_plugin_made_is_downloaded_as_a_zip(client: httpx.Client) -> None:
    config = {"plugin": "unpack", "inputs": {"text": "data:text/plain,one%0Atwo%0A"}}
    job = client.post("/plugin/jobs", json=config).raise_for_status().json()["pluginJobID"]
    assert ended(client, f"/plugin/jobs/{job}")["status"] == "complete"
    address = f"/plugin/jobs/{job}/files/files"
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="files.zip"'
    with ZipFile(io.BytesIO(answer.content)) as found:
        assert {name: found.read(name) for name in found.namelist()} == {"line-aa": b"one\n", "line-ab": b"two\n"}
    assert client.get(address, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert client.head(address).status_code == 200
    page = client.get(f"/plugins/jobs/{job}").text
    assert f'<a class="button" href="/plugins/jobs/{job}/files/files">Download files.zip</a>' in page
    assert client.get(f"/plugins/jobs/{job}/files/files").content == answer.content
    missing = client.get(f"/plugin/jobs/{job}/files/line-aa")
    assert (missing.status_code, missing.json()["message"]) == (404, "no output 'line-aa'; the job has files")
