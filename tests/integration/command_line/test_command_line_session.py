"""What commands work with: the services that are configured, but for what an option says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deployments.command_line import session
from deployments.command_line.demo import build_demo_targets
from multiblast.services import Services
from multiblast.settings import Policy


def test_targets_root_changes_the_databases_and_nothing_else(
    services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build_demo_targets(tmp_path)
    chosen = replace(services, policy=Policy(keep_days=7))
    monkeypatch.setattr("multiblast.services.Services.embedded", lambda: chosen)
    found = session.local_services(tmp_path)
    assert found.targets.root == tmp_path
    assert found.targets.layout.pattern == chosen.targets.layout.pattern
    for place in ("database", "store", "installation", "limits", "policy"):
        assert getattr(found, place) is getattr(chosen, place)
