"""Where things stand and what they are called: the traps of the layout, each held by a test."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LAYERS = ("multiblast", "blocks", "tasks", "flows", "deployments")
_TREES = {
    str(path.relative_to(_ROOT)): ast.parse(path.read_text())
    for layer in _LAYERS
    for path in sorted((_ROOT / layer).rglob("*.py"))
}
_FLOWS = {name: tree for name, tree in _TREES.items() if name.startswith("flows/")}


def test_flow_file_hides_no_other_module() -> None:
    """A file entrypoint puts flows/ first on the path: a file there hides the module of its name."""
    taken = {*_LAYERS, *sys.stdlib_module_names, *packages_distributions()}
    assert taken.isdisjoint(Path(name).stem for name in _FLOWS)


def test_flow_file_defines_no_class() -> None:
    """A flow loaded from a file has a bare module name, under which no other process finds its classes."""
    nodes = [(name, node) for name, tree in _FLOWS.items() for node in ast.walk(tree)]
    assert [f"{name}: {node.name}" for name, node in nodes if isinstance(node, ast.ClassDef)] == []


def test_module_opens_with_one_line() -> None:
    openings = {name: (ast.get_docstring(tree) or "").partition("\n\n")[0] for name, tree in _TREES.items()}
    assert [name for name, line in openings.items() if "\n" in line or not line.endswith((".", "?"))] == []


def test_what_begins_with_an_underscore_stays_in_its_module() -> None:
    imported = [(name, *found) for name, tree in _TREES.items() for found in _imported(tree)]
    assert [
        f"{name}: {module}.{what}"
        for name, module, what in imported
        if module.partition(".")[0] in _LAYERS and what.startswith("_")
    ] == []


def test_tests_mirror_no_layer() -> None:
    """A package tests/tasks would hide the layer of that name."""
    assert not any((_ROOT / "tests" / layer).exists() for layer in _LAYERS)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
