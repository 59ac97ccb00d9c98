"""What commands import: less than takes long, and all that they need once they need it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import multiblast
from multiblast.actions.catalogue import actions_of
from multiblast.actions.plugin_jobs import PluginJobs
from multiblast.actions.queries import Queries
from multiblast.actions.reports import Reports

PACKAGES = [f"multiblast.{one.name}" for one in pkgutil.iter_modules(multiblast.__path__) if one.ispkg]
SLOW = {"prefect", "boto3", "botocore", "pyarrow", "numpy", "psutil", "alembic"}
FOR_WORK = {"httpx", "zstandard", "prometheus_client"}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_gives_every_name_that_it_exports(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_the_name_of_something_that_its_package_imports_late(package: str) -> None:
    """Once it is imported, it would be taken for that."""
    module = importlib.import_module(package)
    if hasattr(module, "__getattr__"):
        modules = {one.name for one in pkgutil.iter_modules(module.__path__)}
        assert modules & set(module.__all__) == set()


def test_package_has_no_other_names() -> None:
    search = importlib.import_module("multiblast.search")
    with pytest.raises(AttributeError, match=r"module 'multiblast\.search' has no attribute 'nothing'"):
        _ = search.nothing


@pytest.mark.parametrize("door", [Queries, Reports, PluginJobs])
def test_types_of_all_actions_are_found(door: type) -> None:
    for one in actions_of(door):
        assert not isinstance(one.returns, str)
        assert not any(isinstance(given.kind, str) for given in one.parameters)


@pytest.mark.parametrize(
    ("command", "slow"),
    [("targets", SLOW | FOR_WORK), ("jobs", SLOW | FOR_WORK), ("status", SLOW | FOR_WORK), ("search", SLOW)],
)
def test_command_imports_nothing_that_takes_long(command: str, slow: set[str]) -> None:
    code = f"import sys; from deployments.command_line import load; load({command!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert slow & set(done.stdout.split()) == set()


@pytest.mark.parametrize("command", ["targets", "--help"])
def test_command_does_without_the_database(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIBLAST_HOME", str(tmp_path))
    code = f"import sys; from deployments.command_line import main; sys.argv[1:] = [{command!r}]; main(); "
    code += "sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"sqlalchemy", "sqlmodel"} & set(done.stderr.split()) == set()


def test_list_of_jobs_makes_only_the_tables_and_options_that_it_needs(tmp_path: Path) -> None:
    """Each table takes some milliseconds to make, and so do the options of all programs."""
    run = "import sys; from deployments.command_line import main; sys.argv[1:] = ['jobs', 'list']; main(); "
    run += "sys.stderr.write(' '.join(sys.modules))"
    environment = {**os.environ, "MULTIBLAST_HOME": str(tmp_path)}
    for _ in range(2):  # the first makes the database, with all tables
        done = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "multiblast.database.tables" in loaded
    others = {f"multiblast.database.{name}_tables" for name in ("account", "search", "site", "state")}
    assert loaded & {*others, "multiblast.options.base", "rich.progress"} == set()
