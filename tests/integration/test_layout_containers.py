"""The container files name what there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml

from deployments import container
from tests.support.places import ROOT

_CONTAINERS = ROOT / "deployments" / "containers"
_DOCKERFILE = (_CONTAINERS / "Dockerfile").read_text()
_COMPOSE = yaml.safe_load((_CONTAINERS / "compose.yaml").read_text())
_COMMANDS = [json.loads(found) for found in re.findall(r"^CMD (\[.*])$", _DOCKERFILE, re.MULTILINE)]
_COMMANDS += [service["command"] for service in _COMPOSE["services"].values() if "command" in service]


def test_compose_builds_targets_of_the_dockerfile() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", _DOCKERFILE, re.MULTILINE))
    for service in (service for service in _COMPOSE["services"].values() if "build" in service):
        assert service["build"]["target"] in targets
        assert (_CONTAINERS / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_compose_waits_only_for_its_own_services() -> None:
    services = _COMPOSE["services"]
    assert {other for service in services.values() for other in service.get("depends_on", ())} < services.keys()


def test_compose_lets_prefect_ask_for_what_all_others_have() -> None:
    variables = {name: service.get("environment", {}) for name, service in _COMPOSE["services"].items()}
    asked = variables.pop("server")["PREFECT_SERVER_API_AUTH_STRING"]
    given = {variables[name]["PREFECT_API_AUTH_STRING"] for name in ("register", "worker", "web")}
    assert {text.replace(":?set a password", "") for text in given} == {asked}


def test_compose_declares_the_volumes_it_uses() -> None:
    used = {text.partition(":")[0] for service in _COMPOSE["services"].values() for text in service.get("volumes", ())}
    assert {name for name in used if name.isalnum()} == _COMPOSE["volumes"].keys()


def test_containers_are_for_modes_that_there_are() -> None:
    named = re.findall(r"CONTAINER_MODE=(\S+)$", _DOCKERFILE, re.MULTILINE)
    services = _COMPOSE["services"].values()
    named += [service["environment"]["CONTAINER_MODE"] for service in services if "CONTAINER_MODE" in str(service)]
    assert sorted({*named}) == sorted(container.MODES)


def test_image_has_what_plugins_need_and_looks_in_the_mounted_folder() -> None:
    (installed,) = re.findall(r"--no-install-recommends (.*?) \\$", _DOCKERFILE, re.MULTILINE)
    assert {"bubblewrap", "git", "openssh-client"} <= set(installed.split())
    (folder,) = re.findall(r"MULTIBLAST_PLUGINS=(\S+)", _DOCKERFILE)
    mounted = _COMPOSE["x-image"]["volumes"]
    assert any(volume.split(":")[-2] == folder for volume in mounted if volume.endswith(":ro"))
    assert "GIT_PLUGINS" in _COMPOSE["x-image"]["environment"]


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_command_of_a_container_is_known(command: list[str]) -> None:
    assert command[:3] == ["python", "-m", "deployments"]
    done = subprocess.run(
        [sys.executable, *command[1:], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(word in done.stdout for word in command[3:] if word.startswith("--"))


def test_dockerfile_ends_no_line_in_a_lost_continuation() -> None:
    """Every continued line is followed by one that is indented."""
    lines = _DOCKERFILE.splitlines()
    assert all(after.startswith("    ") for line, after in pairwise(lines) if line.endswith("\\"))
