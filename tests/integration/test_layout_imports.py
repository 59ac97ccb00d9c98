"""What the import linter cannot see: the domain runs where Prefect is not installed."""

from __future__ import annotations

import subprocess
import sys

from tests.support.places import ROOT


def test_domain_loads_without_prefect() -> None:
    code = (
        "import importlib, pkgutil, sys, multiblast\n"
        "for module in pkgutil.walk_packages(multiblast.__path__, 'multiblast.'):\n"
        "    if '.migrations' not in module.name and not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0].startswith('prefect')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
