"""fair-cli as PyPI has it, with our registry as its local one: it pulls what a script recorded, and was pushed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from uv import find_uv_bin

from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.model.rows import ObjectRow, StorageLocationRow
from multiblast.registry.remotes.rest import RestRegistry
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, push
from multiblast.registry.sync.summary import ItemResult
from tests.support.language_clients import called, commit_all, python
from web.registry.serving import serving

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
    directory, uv = tmp_path_factory.mktemp("environment"), find_uv_bin()
    subprocess.run([uv, "venv", "-q", "--clear", str(directory), "--python", sys.executable], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(directory / "bin" / "python"), "fair-cli==0.11.0"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        pytest.skip("fair-cli cannot be installed")
    return directory / "bin" / "fair"


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
    tokens = {"local": api.token, "origin": remote_token}
    for name, token in tokens.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(token)
    with serving(api) as address:
        (tmp_path / "local" / "session_port.log").write_text(address.rpartition(":")[2].partition("/")[0])
        places = {"local": address, "origin": f"{remote.site}api/"}
        told = {
            "namespaces": {"input": space, "output": space},
            "registries": {
                name: {
                    "data_store": f"{tmp_path / name}/data/",
                    "directory": str(tmp_path / name),
                    "token": str(tmp_path / name / "token"),
                    "uri": place,
                }
                for name, place in places.items()
            },
            "user": {
                "email": "r@example.org", "family_name": "R", "given_names": "R", "orcid": None, "uri": None,
                "uuid": "2ddb2358-84bf-43ff-b2aa-3ac7dc3b49f1", "remote_user": "admin",
            },
            "git": {
                "local_repo": str(directory), "remote": "origin", "remote_repo": "https://github.com/group/model.git",
            },
        }  # fmt: skip
        (tmp_path / "using.yaml").write_text(yaml.safe_dump(told))
        surroundings = {**os.environ, "HOME": str(tmp_path), "FAIR_REGISTRY_DIR": str(tmp_path / "local")}
        for words in (
            ["init", "--using", str(tmp_path / "using.yaml"), "--registry", str(tmp_path / "local")],
            ["pull", "config.yaml"],
        ):
            done = subprocess.run(
                [str(fair), *words], cwd=directory, env=surroundings, capture_output=True, text=True, check=False,
                timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
    (product,) = here.products(space, ["results/count"])
    (item,) = here.read(ObjectRow, [product.object])
    (place,) = here.read(StorageLocationRow, [item.storage_location])
    (before,) = second.products(space, ["results/count"])
    (item,) = second.read(ObjectRow, [before.object])
    (origin,) = second.read(StorageLocationRow, [item.storage_location])
    assert (product.version, place.hash) == (before.version, origin.hash)
    assert here.files.holds(place.hash)
