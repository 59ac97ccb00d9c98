"""Where things stand and what they are called: the traps of the layout, each held by a test."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_LAYERS = ("multiblast", "blocks", "tasks", "flows", "deployments")
_FLOW_FILES = sorted((_ROOT / "flows").glob("[!_]*.py"))
_MODULES = sorted(path for layer in _LAYERS for path in (_ROOT / layer).rglob("*.py"))


def _named(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _has_public_names(path: Path) -> bool:
    """Nobody imports from a migration, and a flow file is loaded by its path."""
    return path.name != "__init__.py" and not {"flows", "migrations"} & set(path.parts)


def test_layout_finds_modules_of_every_layer() -> None:
    assert {_named(path).split("/")[0] for path in _MODULES} == set(_LAYERS)
    assert _FLOW_FILES


@pytest.mark.parametrize("path", _FLOW_FILES, ids=_named)
def test_flow_file_hides_no_other_module(path: Path) -> None:
    """A file entrypoint puts flows/ first on the path: a file there hides the module of its name."""
    taken = {*_LAYERS, *sys.stdlib_module_names, *packages_distributions()}
    assert path.stem not in taken


@pytest.mark.parametrize("path", _FLOW_FILES, ids=_named)
def test_flow_file_defines_no_class(path: Path) -> None:
    """A flow loaded from a file has a bare module name, under which no other process finds its classes."""
    classes = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    assert classes == []


@pytest.mark.parametrize("path", _MODULES, ids=_named)
def test_module_opens_with_one_line(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert docstring.partition("\n\n")[0].count("\n") == 0
    assert docstring.partition("\n")[0].endswith((".", "?"))


@pytest.mark.parametrize("path", [path for path in _MODULES if _has_public_names(path)], ids=_named)
def test_module_says_what_is_public(path: Path) -> None:
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    assert "__all__" in {ast.unparse(target) for node in assigned for target in node.targets}


def test_tests_mirror_no_layer() -> None:
    """A package tests/tasks would hide the layer of that name."""
    assert not any((_ROOT / "tests" / layer).exists() for layer in _LAYERS)
