"""What a package exports, imported name by name when it is first used: a command needs few of them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["imported_for_types", "lazy_exports"]


def lazy_exports(package: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which imports what its ``__init__`` imports under ``TYPE_CHECKING``.

    No module of the package may be called like a name that it exports, which would be taken for it.
    """

    def look_up(name: str) -> Any:
        module = sys.modules[package]
        if name not in _places(str(module.__file__)):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = vars(module)[name] = imported_for_types(module, name)
        return found

    return look_up


def imported_for_types(module: ModuleType, name: str) -> Any:
    """Return what a module imports under ``TYPE_CHECKING`` by a name; a `KeyError` if it does not."""
    return getattr(import_module(_places(str(module.__file__))[name]), name)


@cache
def _places(file: str) -> dict[str, str]:
    """Return the module of each name that is imported for types only."""
    statements = ast.parse(Path(file).read_text(encoding="utf-8")).body
    guarded = [one for block in statements if isinstance(block, ast.If) for one in block.body]
    imports = [one for one in guarded if isinstance(one, ast.ImportFrom)]
    return {name.name: str(one.module) for one in imports for name in one.names}
