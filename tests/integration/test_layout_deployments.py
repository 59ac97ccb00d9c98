"""Every deployment can be loaded for real: `prefect deploy` succeeds for a flow that cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.support.places import ROOT
from tests.support.processes import unset_environment

_DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
_LOAD_ALL = """
import json, sys, traceback
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

loaded = {}
for entrypoint in sys.argv[1:]:
    try:
        flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        properties = parameter_schema(flow).properties
        silent = [name for name, told in properties.items() if not told.get("description")]
        loaded[entrypoint] = {"name": flow.name, "description": flow.description or "", "silent": silent}
    except Exception:
        loaded[entrypoint] = {"error": traceback.format_exc()}
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Load all of them as a worker does: in another process, in the checkout, from their files."""
    entrypoints = [deployment["entrypoint"] for deployment in _DEPLOYMENTS]
    home = str(tmp_path_factory.mktemp("home"))
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_ALL, *entrypoints],
        cwd=ROOT,
        env={**unset_environment(), "MULTIBLAST_HOME": home, "PREFECT_HOME": home, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return result


def test_deployments_load(loaded: dict[str, dict[str, Any]]) -> None:
    assert [found["error"] for found in loaded.values() if "error" in found] == []


def test_deployments_have_the_names_of_their_flows(loaded: dict[str, dict[str, Any]]) -> None:
    named = {deployment["entrypoint"]: deployment["name"] for deployment in _DEPLOYMENTS}
    assert {entrypoint: found["name"] for entrypoint, found in loaded.items()} == named


def test_deployments_explain_themselves_and_every_parameter(loaded: dict[str, dict[str, Any]]) -> None:
    """The lines under `Args:` are the help texts of the form."""
    assert [entrypoint for entrypoint, found in loaded.items() if not found["description"] or found["silent"]] == []


def test_deployments_have_distinct_names() -> None:
    names = [deployment["name"] for deployment in _DEPLOYMENTS]
    assert len(set(names)) == len(names)


def test_every_flow_file_is_deployed() -> None:
    by_sites = {"flows/perform_order.py"}  # by each site's worker, from its own checkout
    deployed = {deployment["entrypoint"].partition(":")[0] for deployment in _DEPLOYMENTS}
    assert deployed | by_sites == {f"flows/{path.name}" for path in (ROOT / "flows").glob("[!_]*.py")}
