"""The working configuration: what a configuration means in the present state of the local registry.

Nothing in it is left to look up, to match or to compute, so that running it
again, after whatever updates, reads the same inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from sqlmodel import Session, select

from multiblast.errors import InvalidInputError, Problem
from multiblast.ids import digest
from multiblast.registry.api.addresses import api_address
from multiblast.registry.config.document import Document
from multiblast.registry.config.reader import load_config
from multiblast.registry.config.schema import Config, ReadEntry, RunMetadata, SearchEntry
from multiblast.registry.config.searches import QueryRunner
from multiblast.registry.config.variables import DIRTY, Repository
from multiblast.registry.local.records import content_of, is_without_file, versions_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.model.names import ProductName, check_name, resolve_version, usable_extension
from multiblast.registry.model.tables import FileType, Object

_SEGMENT = r"[^/\[\]?*]+"
_EXTENSIONS = {"bash": "sh", "sh": "sh", "python": "py", "python2": "py", "python3": "py", "R": "R", "julia": "jl",
               "java": "java", "pwsh": "ps1", "powershell": "ps1", "batch": "bat"}  # fmt: skip
_CONFIG_DIR = "${{CONFIG_DIR}}"
# Of the metadata, what stays in a working configuration.
_KEPT = {
    "description",
    "local_repo",
    "remote_repo",
    "latest_commit",
    "local_data_registry_url",
    "remote_data_registry_url",
    "default_input_namespace",
    "default_output_namespace",
    "public",
    "write_data_store",
}


@dataclass(frozen=True, slots=True)
class Input:
    """Something to read: what the script calls it, and what it is; what has no file is read elsewhere."""

    alias: str
    name: ProductName
    object_id: int
    sha1: str
    file_type: str
    description: str = ""
    has_file: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """Something to write: what the script calls it, and what it will be."""

    alias: str
    name: ProductName
    file_type: str
    public: bool
    description: str = ""


@dataclass(slots=True)
class WorkingConfig:
    """A working configuration.

    Attributes:
        script: The script's text; None if a search is run.
        directory: Where it is run.
        text: The configuration, to the byte.
    """

    metadata: RunMetadata
    inputs: list[Input]
    outputs: list[Output]
    script: str | None
    search: SearchEntry | None
    repository: Repository
    directory: Path = field(default_factory=Path)
    text: str = ""

    @property
    def is_dirty(self) -> bool:
        """Whether the code differs from the commit that is checked out."""
        return self.metadata.latest_commit.endswith(DIRTY)

    @property
    def script_name(self) -> str:
        """The file name of the script."""
        return f"script.{_EXTENSIONS[self.metadata.shell.split()[0]]}"

    def filled(self, text: str) -> str:
        """Return text with the directory of the run put in."""
        return text.replace(_CONFIG_DIR, f"{self.directory}/")

    def text_at(self, address: str) -> str:
        """Return the configuration with the address at which the registry's API is found, if that is another one."""
        return self.text.replace(f"local_data_registry_url: {api_address()}\n", f"local_data_registry_url: {address}\n")


def matches(pattern: str, name: str) -> bool:
    """Return whether a name matches a pattern, in which each ``*`` stands for something in one segment."""
    if re.fullmatch(_SEGMENT.join(re.escape(part) for part in pattern.split("*")), name) is None:
        return False
    try:
        check_name(name, "data_product")  # what was pulled before names were checked would stop every run
    except InvalidInputError:
        return "*" not in pattern
    return True


def resolve(
    path: Path,
    registry: Registry,
    user: RegistryUser,
    now: datetime | None = None,
    *,
    queries: QueryRunner | None = None,
) -> WorkingConfig:
    """Return what a configuration means to a user now, given the present state of the local registry.

    The same configuration and state give the same bytes. One that describes a query
    needs ``queries``, which knows the databases.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    working, problems = examine(path, registry, user, now, queries=queries)
    if problems:
        raise InvalidInputError(problems)
    return working


def examine(
    path: Path,
    registry: Registry,
    user: RegistryUser,
    now: datetime | None = None,
    *,
    queries: QueryRunner | None = None,
) -> tuple[WorkingConfig, list[Problem]]:
    """Return what a configuration means as far as that can be known, and what is in the way: see `resolve`.

    Raises:
        InvalidInputError: what is wrong with the configuration, whatever there is in the registry.
    """
    config, document, repository = load_config(path, registry, user, now)
    with registry.session() as session:
        resolver = _Resolver(registry, session, config, document)
        outputs = resolver.outputs()
        inputs = resolver.inputs(outputs)
        script = resolver.script(path.absolute().parent)
        search = config.search and resolver.search(config.search, inputs, outputs, queries)
    if search:  # which reads its query and databases alone; what a script reads of all that it may, nobody knows
        inputs = [one for one in inputs if one.alias in {search.query, *search.databases}]
    working = WorkingConfig(config.run_metadata, inputs, outputs, script, search, repository)
    plain = _plain(working)
    identity = digest("working-config/1", {"config": yaml.safe_dump(plain), "script": script or ""})
    working.directory = registry.directory / "runs" / identity
    text = yaml.safe_dump(plain, sort_keys=True, allow_unicode=True, width=10_000, default_flow_style=False)
    working.text = working.filled(text)
    return working, sorted(resolver.problems, key=lambda problem: problem.line)


class _Resolver:
    def __init__(self, registry: Registry, session: Session, config: Config, document: Document) -> None:
        self._registry, self._session, self._config, self._document = registry, session, config, document
        self.problems: list[Problem] = []

    def outputs(self) -> list[Output]:
        found: list[Output] = []
        for number, entry in enumerate(self._config.write):
            namespace, name, text = self._config.name_of(entry)
            public = self._config.run_metadata.public if entry.public is None else entry.public
            with self._noting(f"write[{number}]"):
                for alias, each in self._names(entry, namespace, name):
                    if "${{RUN_ID}}" not in each:
                        check_name(each, "data_product")
                    version = resolve_version(text, versions_of(self._session, namespace, each), writing=True)
                    output = ProductName(namespace, each, version)
                    found.append(Output(alias, output, entry.file_type, public, entry.description))
        self._check_twice([output.alias for output in found], "write")
        return found

    def inputs(self, outputs: list[Output]) -> list[Input]:
        found: list[Input] = []
        for number, entry in enumerate(self._config.read):
            found += self._read(entry, f"read[{number}]", outputs)
        known = {one.alias for one in found}
        for number, registered in enumerate(self._config.registered):
            namespace, name, text = self._config.name_of(registered)
            wanted = text if "${{" not in text else "${{LATEST}}"
            alias = registered.data_product or getattr(registered, "external_object", name)
            if alias not in known:
                found += self._find(alias, ProductName(namespace, name, wanted), f"register[{number}]")
        self._check_twice([one.alias for one in found], "read")
        return found

    def script(self, base: Path) -> str | None:
        """Return the script's text; None if there is none."""
        metadata = self._config.run_metadata
        if metadata.script:
            return metadata.script.rstrip("\n") + "\n"
        if not metadata.script_path:
            return None
        file = base / Path(metadata.script_path).expanduser()
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            self._note(f"cannot read {str(file)!r}: {reason}", "run_metadata.script_path")
            return None

    def search(
        self, search: SearchEntry, inputs: list[Input], outputs: list[Output], queries: QueryRunner | None
    ) -> SearchEntry:
        """Return the search with nothing left to look up, or as it is where that is not possible."""
        read, written = {one.alias for one in inputs if one.has_file}, {one.alias for one in outputs}
        needed = {"search.query": search.query}
        needed |= {f"search.databases[{number}]": alias for number, alias in enumerate(search.databases)}
        for key, alias in needed.items():
            if alias not in read:
                self._note(f"{alias!r} is not among the files that are read: add it there", key)
        for alias in search.reports:
            if alias not in written:
                self._note(f"{alias!r} is not among what is written: add it there", f"search.reports.{alias}")
        if queries is None:
            self._note("nothing is here that knows its databases: give queries", "search")
            return search
        try:
            return queries.settle(search)
        except InvalidInputError as error:
            for problem in error.problems:
                self._note(problem.message, problem.key)
            return search

    def _read(self, entry: ReadEntry, key: str, outputs: list[Output]) -> list[Input]:
        namespace, name, text = self._config.name_of(entry)
        written = {(one.name.namespace, one.name.name) for one in outputs}
        if (namespace, name) in written and not versions_of(self._session, namespace, name):
            return []  # it is made by this very run
        found: list[Input] = []
        with self._noting(key):
            for alias, each in self._names(entry, namespace, name):
                wanted = ProductName(namespace, each, text)
                found += self._find(alias, wanted, key, entry.description, lenient="*" in name)
        return found

    def _names(self, entry: ReadEntry, namespace: str, name: str) -> list[tuple[str, str]]:
        """Return what an entry's names are: itself, or all that its pattern matches."""
        if not namespace:
            raise InvalidInputError("say in which namespace: use.namespace, or a default in run_metadata")
        if "*" not in name:
            if "*" in entry.data_product:
                raise InvalidInputError("a pattern stands for itself: leave out use.data_product, or the pattern")
            return [(entry.data_product, name)]
        rows = self._registry.products(namespace, [name])
        names = sorted({row.name for row in rows if matches(name, row.name)})
        if not names:
            raise InvalidInputError(f"nothing in namespace {namespace!r} matches {name!r}: pull it first")
        if entry.use.data_product and entry.data_product != name:
            if len(names) > 1:
                raise InvalidInputError(f"{entry.data_product!r} can stand for one only, and {name!r} is {len(names)}")
            return [(entry.data_product, names[0])]
        return [(each, each) for each in names]

    def _find(
        self, alias: str, wanted: ProductName, key: str, description: str = "", *, lenient: bool = False
    ) -> list[Input]:
        """Return an input; none if it is not here, which is a problem unless ``lenient`` lets names lack a version."""
        called = f"{wanted.namespace}:{wanted.name}"
        existing = versions_of(self._session, wanted.namespace, wanted.name)
        if not existing:
            self._note(f"{called} is not in the local registry: pull it first, or register it", key)
            return []
        if lenient and "${{" not in wanted.version and wanted.version not in existing:
            return []
        try:
            version = resolve_version(wanted.version, existing, writing=False)
        except InvalidInputError as error:
            self._note(f"{called}: {error.problems[0].message}", f"{key}.use.version")
            return []
        product = existing[version]
        query = select(FileType.extension).join(Object).where(Object.id == product.object_id)
        file_type = usable_extension(self._session.exec(query).first() or "")
        sha1 = content_of(self._session, product)
        has_file = not is_without_file(self._session, product)
        name = replace(wanted, version=version)
        return [Input(alias, name, product.object_id, sha1, file_type, description, has_file)]

    def _check_twice(self, aliases: list[str], key: str) -> None:
        for alias in sorted({alias for alias in aliases if aliases.count(alias) > 1}):
            self._note(f"{alias!r} stands for two things: name one of them apart", key)

    def _note(self, message: str, key: str) -> None:
        self.problems.append(self._document.problem(message, key))

    @contextmanager
    def _noting(self, key: str) -> Iterator[None]:
        """Note the first thing that the block finds wrong."""
        try:
            yield
        except InvalidInputError as error:
            self._note(error.problems[0].message, key)


def _plain(working: WorkingConfig) -> dict[str, Any]:
    """Return the working configuration as plain data."""
    given = working.metadata
    metadata = given.model_dump(include=_KEPT)
    metadata["write_data_store"] = given.write_data_store.rstrip("/") + "/"  # language APIs cut it off paths
    if working.script is not None:
        metadata |= {"shell": given.shell, "script_path": f"{_CONFIG_DIR}{working.script_name}"}
    plain: dict[str, Any] = {"run_metadata": metadata}
    if working.inputs:
        plain["read"] = [_entry(one) for one in working.inputs]
    if working.outputs:
        plain["write"] = [
            _entry(one)
            | {"file_type": one.file_type, "public": one.public, "description": one.description or one.alias}
            for one in working.outputs
        ]
    if working.search:
        plain["search"] = working.search.model_dump(mode="json")
    return plain


def _entry(one: Input | Output) -> dict[str, Any]:
    use = {"data_product": one.name.name, "namespace": one.name.namespace, "version": one.name.version}
    return {"data_product": one.alias, "use": use} | ({"description": one.description} if one.description else {})
