"""fair-cli as PyPI has it, with our registry as its local one: it pulls what a script recorded, and was pushed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.model.rows import ObjectRow, StorageLocationRow
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, push
from multiblast.registry.sync.summary import ItemResult
from tests.support import fair_cli
from tests.support.language_clients import called, commit_all, python

pytestmark = pytest.mark.long

RUN = """\
run_metadata: {description: count, script: "true"}
read: [{data_product: params/a}]
write: [{data_product: results/count, description: how many, file_type: txt}]
"""
READ = """\
run_metadata: {description: look, script: "true"}
read: [{data_product: results/count}]
"""


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fair-cli, in an environment of its own."""
    program = fair_cli.install(tmp_path_factory.mktemp("environment"))
    if program is None:
        pytest.skip("fair-cli cannot be installed")
    return program


@pytest.fixture(params=["stand-in", *(["real"] if os.environ.get("MULTIBLAST_TEST_FAIR_URL") else [])])
def end(request: pytest.FixtureRequest) -> Iterator[tuple[RestRegistry, str]]:
    """A remote registry, and its token; the real one where one is named, too."""
    if request.param == "real":
        url, token = (os.environ[f"MULTIBLAST_TEST_FAIR_{name}"] for name in ("URL", "TOKEN"))
    else:
        url, token = request.getfixturevalue("fair_server")
        httpx.post(f"{url}/control", json={"reset": True}, timeout=60)
    remote = RestRegistry(url, token)
    yield remote, token
    remote.close()


def project(directory: Path, config: str) -> Path:
    directory.mkdir()
    (directory / "config.yaml").write_text(config)
    commit_all(directory, "https://github.com/group/model.git")
    return directory


def test_registry_faircli_pulls_what_a_script_recorded(
    fair: Path, here: Any, second: Any, end: tuple[RestRegistry, str], tmp_path: Path
) -> None:
    space, (remote, remote_token) = f"test-{time.time_ns()}", end
    second.product("params/a", f"{space}\n" * (time.time_ns() % 997), namespace=space)
    config = project(tmp_path / "model", RUN) / "config.yaml"
    commit(second, [run(config, second, second.user(space), server=called(python)).uuid])
    assert {o.result for o in push(second, remote).outcomes} == {ItemResult.DONE}

    directory = project(tmp_path / "reader", READ)
    api = LocalApi(here, here.user(space))
    with fair_cli.session(fair, directory, tmp_path, api, f"{remote.site}api/", remote_token, space) as client:
        client.run("pull", "config.yaml")
    (product,) = here.products(space, ["results/count"])
    (item,) = here.read(ObjectRow, [product.object])
    (place,) = here.read(StorageLocationRow, [item.storage_location])
    (before,) = second.products(space, ["results/count"])
    (item,) = second.read(ObjectRow, [before.object])
    (origin,) = second.read(StorageLocationRow, [item.storage_location])
    assert (product.version, place.hash) == (before.version, origin.hash)
    assert here.files.holds(place.hash)
