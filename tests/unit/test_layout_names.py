"""Where things stand and what they are called: the traps of the layout, each held by a test."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.places import ROOT

_LAYERS = ("multiblast", "blocks", "tasks", "flows", "deployments")


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """What stands in each module, by its path."""
    paths = [path for layer in _LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


@pytest.fixture(scope="module")
def flows(trees: dict[str, ast.Module]) -> dict[str, ast.Module]:
    return {name: tree for name, tree in trees.items() if name.startswith("flows/")}


def test_flow_file_hides_no_other_module(flows: dict[str, ast.Module]) -> None:
    """A file entrypoint puts flows/ first on the path: a file there hides the module of its name."""
    taken = {*_LAYERS, *sys.stdlib_module_names, *packages_distributions()}
    assert taken.isdisjoint(Path(name).stem for name in flows)


def test_flow_file_defines_no_class(flows: dict[str, ast.Module]) -> None:
    """A flow loaded from a file has a bare module name, under which no other process finds its classes."""
    nodes = [(name, node) for name, tree in flows.items() for node in ast.walk(tree)]
    assert [f"{name}: {node.name}" for name, node in nodes if isinstance(node, ast.ClassDef)] == []


def test_module_opens_with_one_line(trees: dict[str, ast.Module]) -> None:
    openings = {name: (ast.get_docstring(tree) or "").partition("\n\n")[0] for name, tree in trees.items()}
    assert [name for name, line in openings.items() if "\n" in line or not line.endswith((".", "?"))] == []


def test_what_begins_with_an_underscore_stays_in_its_module(trees: dict[str, ast.Module]) -> None:
    imported = [(name, *found) for name, tree in trees.items() for found in _imported(tree)]
    assert [
        f"{name}: {module}.{what}"
        for name, module, what in imported
        if module.partition(".")[0] in _LAYERS and what.startswith("_")
    ] == []


def test_tests_mirror_no_layer() -> None:
    """A package tests/tasks would hide the layer of that name."""
    assert not any((ROOT / "tests" / layer).exists() for layer in _LAYERS)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
