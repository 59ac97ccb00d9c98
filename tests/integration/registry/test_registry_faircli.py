"""fair-cli as PyPI has it, with our registry as its local one: it pulls what a script recorded, and was pushed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from uv import find_uv_bin

from multiblast.registry.api.local_api import LocalApi
from multiblast.registry.model.rows import ObjectRow, StorageLocationRow
from multiblast.registry.runs.execution import run
from multiblast.registry.sync.commands import commit, push
from multiblast.registry.sync.summary import ItemResult
from tests.integration.registry.conftest import Remote
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


@pytest.fixture
def other_remote(fair_server: tuple[str, str], fair_s3: tuple[str, Path]) -> Iterator[Remote]:
    """An empty remote registry, which may be asked more than our own client asks."""
    remote = Remote(*fair_server, fair_s3[1])
    remote.control(reset=True)
    yield remote
    for one in remote.opened:
        one.close()


def project(directory: Path, config: str) -> Path:
    directory.mkdir()
    (directory / "config.yaml").write_text(config)
    commit_all(directory, "https://github.com/group/model.git")
    return directory


def test_registry_faircli_pulls_what_a_script_recorded(
    fair: Path, here: Any, second: Any, other_remote: Remote, tmp_path: Path
) -> None:
    second.product("params/a", "x\ny\n")
    config = project(tmp_path / "model", RUN) / "config.yaml"
    commit(second, [run(config, second, second.user(), server=called(python)).uuid])
    assert {o.result for o in push(second, other_remote.open()).outcomes} == {ItemResult.DONE}

    directory = project(tmp_path / "reader", READ)
    api = LocalApi(here, here.user())
    tokens = {"local": api.token, "origin": other_remote.token}
    for name, token in tokens.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(token)
    with serving(api) as address:
        (tmp_path / "local" / "session_port.log").write_text(address.rpartition(":")[2].partition("/")[0])
        places = {"local": address, "origin": f"{other_remote.url}/api/"}
        told = {
            "namespaces": {"input": "rich", "output": "rich"},
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
                "uuid": "2ddb2358-84bf-43ff-b2aa-3ac7dc3b49f1", "remote_user": "rich",
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
    (product,) = here.products("rich", ["results/count"])
    (item,) = here.read(ObjectRow, [product.object])
    (place,) = here.read(StorageLocationRow, [item.storage_location])
    assert (product.version, b"".join(here.files.stream(place.hash))) == ("0.0.1", b"2\n")
