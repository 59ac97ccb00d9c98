"""Places and limits have the defaults that are documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from multiblast.environment import (
    CONTAINER_MODE,
    COUPLING_BYTES,
    ENVIRONMENT,
    GIT_PLUGINS,
    HTTP_URL,
    PLUGIN_ENVIRONMENT,
    PROXY_SECRET,
    WORKER,
)
from multiblast.settings import QueryLimits, home


def test_home_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    assert home() == tmp_path


def test_home_defaults_to_the_users_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MULTIBLAST_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".local" / "share" / "multiblast"


def test_home_follows_xdg_data_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MULTIBLAST_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home() == tmp_path / "multiblast"


def test_home_ignores_a_relative_xdg_data_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MULTIBLAST_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert home() == tmp_path / ".local" / "share" / "multiblast"


def test_public_limits_are_those_of_the_design() -> None:
    assert QueryLimits.public().model_dump() == {
        "sequences": 100,
        "query_bytes": 3_145_728,
        "longest_nucleotide": 1_048_576,
        "longest_protein": 102_400,
        "results": 10_000,
    }


def test_limits_refuse_negative_numbers() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        QueryLimits(sequences=-1)


def test_environment_variables_are_those_that_are_read() -> None:
    root = Path(__file__).parents[2]
    rooms = [root / name for name in ("multiblast", "blocks", "tasks", "flows", "deployments")]
    files = [path for room in rooms for path in room.rglob("*") if path.suffix in {".py", ".yaml"}]
    elsewhere = [path.read_text() for path in files if path != root / "multiblast" / "settings.py"]
    named = {name for text in elsewhere for name in re.findall(r"MULTIBLAST_[A-Z_]+", text)}
    named -= set(PLUGIN_ENVIRONMENT)  # which plugins read
    named |= {CONTAINER_MODE, COUPLING_BYTES, GIT_PLUGINS, HTTP_URL, PROXY_SECRET, WORKER, "MULTIBLAST_HOME"}
    assert named == set(ENVIRONMENT)
    assert all(" Default: " in text for text in ENVIRONMENT.values())
