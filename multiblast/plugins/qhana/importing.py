"""Importing plugins of QHAna: each becomes a plugin of ours, in a directory with all that it needs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from multiblast.errors import MultiblastError
from multiblast.plugins.description import Description
from multiblast.plugins.environments import Environments
from multiblast.plugins.plugin import Plugin, Source, SourceKind
from multiblast.plugins.ports import Output
from multiblast.plugins.qhana.runner import PACKAGE, REPOSITORY, Place, names_plugins, requirements_of_runner
from multiblast.plugins.qhana.tables import MORE, outputs_of, table_of, written
from multiblast.plugins.records import plugins_home
from multiblast.plugins.rounds import RoundRequest, run_round
from multiblast.plugins.run_table import Run
from multiblast.plugins.table_files import TABLE_FILE, read_table
from multiblast.settings import PluginRules

_ADAPTER, _FIELDS = (Path(__file__).with_name(name) for name in ("adapter.py", "fields.py"))
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tests", "*.pyc")
_DESCRIBER = Description(
    name="qhana-import",
    version="1.0.0",
    title="What plugins of QHAna say of themselves",
    outputs={"facts": Output(data="*", content="application/json")},
    run=Run(script="run.py", timeout_s=300),
)


@dataclass(frozen=True, slots=True)
class Imported:
    """A plugin of QHAna that was imported, or why it was not.

    Attributes:
        module: The file or package that it is in.
        plugin: Its name and version here; empty if it was not imported.
        directory: Where it is now.
    """

    module: str
    plugin: str = ""
    directory: Path | None = None
    problem: str = ""


def qhana_folder(directory: Path | None = None) -> Path:
    """Return the folder of plugins that were imported from QHAna."""
    return (directory or plugins_home()) / "qhana"


def import_plugins(
    place: str,
    runner: str = "",
    *,
    network: bool = False,
    rules: PluginRules | None = None,
    directory: Path | None = None,
) -> Iterator[Imported]:
    """Import the plugins of a folder or repository, one after the other; what is there of them is replaced.

    A plugin says of itself what it takes and makes, in a process of its own, confined as its runs are.

    Args:
        place: A path, or a git line, of plugins of QHAna.
        runner: The same of QHAna's runner; by default what the plugins are beside, else its repository.
        network: Whether the plugins may use the network.
        rules: What the policy says.
        directory: See `multiblast.plugins.sources.Sources`.

    Raises:
        InvalidInputError: there is no such folder, or no runner in it.
        GitError: a repository cannot be fetched.
    """
    found = Place.find(place, directory)
    beside = None if runner else found.runner()
    with_runner = beside or (Place.find(runner or REPOSITORY, directory).runner() or Place.find(runner or REPOSITORY))
    one = _Import(with_runner, found, network, (rules or PluginRules()).sandbox, directory)
    for module in found.plugins():
        try:
            yield from one.module(module)
        except (MultiblastError, OSError) as error:
            yield Imported(module.name, problem=str(error))


@dataclass(frozen=True, slots=True)
class _Import:
    runner: Place
    place: Place
    network: bool
    sandbox: str
    directory: Path | None

    def module(self, module: Path) -> Iterator[Imported]:
        """Import the plugins of a module or package."""
        with TemporaryDirectory(prefix="qhana-") as scratch:
            whole = Path(scratch) / "whole"
            self._write(whole, module, [], {"describe": True})
            asked, why = self._described(whole, Path(scratch) / "asked")
            needs = sorted({line for one in asked for line in one["requirements"]})
            if needs:  # some say the rest only where what they need is there
                self._write(whole, module, needs, {"describe": True})
                asked, why = self._described(whole, Path(scratch) / "again")
            if not asked:
                yield Imported(module.name, problem=f"QHAna's runner loads no plugin from it: {why or 'it has none'}")
            for facts in asked:
                yield self._one(module, facts)

    def _described(self, whole: Path, work: Path) -> tuple[list[dict[str, Any]], str]:
        """Return what the plugins of a directory say of themselves, and the last error that was printed meanwhile."""
        plugin = Plugin(_DESCRIBER, whole, Source(SourceKind.EXTRA, str(whole)))
        environment = Environments(self.directory).prepare(plugin)
        ended = run_round(plugin, environment.python, RoundRequest(1, {}, {}, 1), work, sandbox=self.sandbox)
        found: list[dict[str, Any]] = json.loads(ended.outputs[0].path.read_bytes())
        errors = re.findall(r"(?m)^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", ended.stderr)
        return found, errors[-1] if errors else ""

    def _one(self, module: Path, facts: dict[str, Any]) -> Imported:
        """Write the directory of one plugin."""
        try:
            if facts["problem"] or not facts["metadata"]:
                raise ValueError(facts["problem"] or "it has no metadata")  # noqa: TRY301 - one way out
            table = table_of(facts, network=self.network)
        except (ValueError, KeyError, TypeError) as error:
            missing = f"its metadata lack {error}" if isinstance(error, KeyError) else str(error)
            return Imported(module.name, problem=f"{facts['identifier']}: {missing}")
        entry = facts["metadata"]["entryPoint"]
        settings = {
            "describe": False,
            "identifier": facts["identifier"],
            "process": entry["href"],
            "fields": facts["fields"],
            "outputs": [{"port": one["port"], **one["facts"]} for one in outputs_of(entry)],
            "more": MORE,
            "plugins": {"from": self.place.origin, "commit": self.place.commit, "module": module.name},
            "runner": {"from": self.runner.origin, "commit": self.runner.commit},
        }
        text = written(table)
        description = read_table(text, f"{facts['identifier']} as {TABLE_FILE}")
        target = qhana_folder(self.directory) / description.identifier
        made = target.with_name(f".{target.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        self._write(made, module, facts["requirements"], settings)
        (made / TABLE_FILE).write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
        return Imported(module.name, description.identifier, target)

    def _write(self, target: Path, module: Path, needs: list[str], settings: dict[str, Any]) -> None:
        """Write a directory with the adapter, the runner, and a module with what is beside it that is no plugin."""
        lines, python = requirements_of_runner(self.runner.path)
        block = f"requires-python = {json.dumps(python)}\ndependencies = {json.dumps([*lines, *needs], indent=2)}"
        head = "".join(f"# {line}\n" for line in ("/// script", *block.splitlines(), "///"))
        target.mkdir(parents=True, exist_ok=True)
        (target / "run.py").write_text(head + _ADAPTER.read_text(encoding="utf-8"), encoding="utf-8")
        shutil.copy(_FIELDS, target)
        (target / "qhana.json").write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")
        if (target / "plugin").exists():
            return
        shutil.copytree(self.runner.path / PACKAGE, target / "runner" / PACKAGE, ignore=_LEFT_OUT)
        for notice in ("LICENSE", "NOTICE"):
            if (self.runner.path / notice).is_file():
                shutil.copy(self.runner.path / notice, target / "runner")
        for path in [module, *self._beside(module)]:
            copy = target / "plugin" / path.name
            copy.parent.mkdir(exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, copy, ignore=_LEFT_OUT)
            else:
                shutil.copy(path, copy)

    def _beside(self, module: Path) -> Iterator[Path]:
        """Yield what is beside a module and is no plugin: templates, and modules that plugins share."""
        if module == self.place.path:
            return
        for path in sorted(module.parent.iterdir()):
            if path == module or path.name.startswith(".") or path.is_symlink() or path.name in {"tests", PACKAGE}:
                continue
            is_code = path.suffix == ".py" or path.is_dir()
            if is_code and not names_plugins(path) and not any(map(names_plugins, _below(path))):
                yield path


def _below(path: Path) -> Iterator[Path]:
    """Yield the directories in a directory, at any depth."""
    if path.is_dir():
        yield from (one for one in path.rglob("*") if one.is_dir())
