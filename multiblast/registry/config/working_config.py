"""The working configuration: what a configuration means in the present state of the local registry.

Nothing in it is left to look up, to match or to compute, so that running it
again, after whatever updates, reads the same inputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlmodel import Session

from multiblast.errors import InvalidInputError, MultiblastError, Problem
from multiblast.ids import digest
from multiblast.registry.config.document import Document, read_document
from multiblast.registry.config.repository import DIRTY, Repository
from multiblast.registry.config.schema import (
    Config,
    ReadEntry,
    RunMetadata,
    SearchEntry,
    entry_name,
    parse_config,
    registered_entries,
)
from multiblast.registry.config.searches import QueryRunner
from multiblast.registry.config.variables import VariableValues, substitute
from multiblast.registry.local.records import content_of, versions_of
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.model.names import ProductName, check_name
from multiblast.registry.model.tables import DataProduct, FileType, Object
from multiblast.registry.model.versions import resolve_version
from multiblast.registry.remotes.known import Remotes

_SEGMENT = r"[^/\[\]?*]+"
_EXTENSIONS = {"bash": "sh", "sh": "sh", "python": "py", "python2": "py", "python3": "py", "R": "R", "julia": "jl",
               "java": "java", "pwsh": "ps1", "powershell": "ps1", "batch": "bat"}  # fmt: skip
_CONFIG_DIR = "${{CONFIG_DIR}}"


@dataclass(frozen=True, slots=True)
class Input:
    """Something to read: what the script calls it, and what it is."""

    alias: str
    name: ProductName
    object_id: int
    sha1: str
    file_type: str
    description: str = ""


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
        metadata: What holds for the whole run.
        inputs, outputs: What is read and written.
        script: The script's text; None if a search is run.
        search: The search to run, if it is one.
        repository: The code.
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


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name matches a pattern, in which each ``*`` stands for something in one segment."""
    return re.fullmatch(_SEGMENT.join(re.escape(part) for part in pattern.split("*")), name) is not None


def load_config(
    path: Path, registry: Registry, user: RegistryUser, now: datetime | None = None
) -> tuple[Config, Document, Repository]:
    """Read a configuration, put in its variables, and its defaults where it leaves them out.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise InvalidInputError(Problem("a configuration is a mapping: begin with run_metadata:", path.name))
    metadata = (document.data.get("run_metadata") or {}) if isinstance(document.data.get("run_metadata"), dict) else {}
    place = Path(str(metadata["local_repo"])) if metadata.get("local_repo") else path.absolute().parent
    repository = Repository(place)
    around = VariableValues(
        now or datetime.now(UTC), repository.user or user.username, user.identifier, path, repository
    )
    data = document.data
    problems: list[Problem] = []
    try:
        data = substitute(document, around)
    except InvalidInputError as error:
        problems += error.problems
    try:
        config = parse_config(data, document)
    except InvalidInputError as error:
        problems += error.problems
    if problems:
        raise InvalidInputError(sorted(problems, key=lambda problem: problem.line))
    said = config.run_metadata
    defaults = {
        "default_input_namespace": user.namespace,
        "default_output_namespace": user.namespace,
        "local_data_registry_url": registry.name,
        "remote_data_registry_url": Remotes(registry).url(user.remote),
        "write_data_store": user.data_store,
    }
    missing = {name: value for name, value in defaults.items() if not getattr(said, name)}
    # What git says of the files that are about to run wins over what somebody wrote: the record must not claim
    # a commit that did not run.
    missing["latest_commit"] = repository.state or said.latest_commit
    return config.model_copy(update={"run_metadata": said.model_copy(update=missing)}), document, repository


def resolve(
    path: Path,
    registry: Registry,
    user: RegistryUser,
    now: datetime | None = None,
    *,
    queries: QueryRunner | None = None,
) -> WorkingConfig:
    """Say what a configuration means, given the present state of the local registry.

    The same configuration and state give the same bytes.

    Args:
        path: The configuration.
        registry: The local one.
        user: Whose defaults hold.
        now: The time that variables stand for.
        queries: Knows the databases, if the configuration describes a query.

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
    """Say what a configuration means as far as that can be said, and what is in the way: see `resolve`.

    Raises:
        InvalidInputError: what is wrong with the configuration, whatever there is in the registry.
    """
    config, document, repository = load_config(path, registry, user, now)
    problems: list[Problem] = []
    with registry.session() as session:
        resolver = _Resolver(registry, session, config, document, problems)
        outputs = resolver.outputs()
        inputs = resolver.inputs(outputs)
    script = _script(config.run_metadata, path, document, problems)
    search = config.search
    if search is not None:
        _check_search(search, inputs, outputs, document, problems)
        search = _settled(search, queries, document, problems)
    working = WorkingConfig(config.run_metadata, inputs, outputs, script, search, repository)
    plain = _plain(working)
    identity = digest("working-config/1", {"config": yaml.safe_dump(plain), "script": script or ""})
    working.directory = registry.directory / "runs" / identity
    text = yaml.safe_dump(plain, sort_keys=True, allow_unicode=True, width=10_000, default_flow_style=False)
    working.text = working.filled(text)
    return working, sorted(problems, key=lambda problem: problem.line)


class _Resolver:
    def __init__(
        self, registry: Registry, session: Session, config: Config, document: Document, problems: list[Problem]
    ) -> None:
        self._registry, self._session, self._config = registry, session, config
        self._document, self._problems = document, problems

    def outputs(self) -> list[Output]:
        found: list[Output] = []
        metadata = self._config.run_metadata
        for number, entry in enumerate(self._config.write):
            key = f"write[{number}]"
            namespace = entry.use.namespace or metadata.default_output_namespace
            name = entry.use.data_product or entry.data_product
            text = entry.use.version or metadata.default_write_version
            public = metadata.public if entry.public is None else entry.public
            try:
                for alias, each in self._names(entry, namespace, name):
                    if "${{RUN_ID}}" not in each:
                        check_name(each, "data_product")
                    version = resolve_version(text, versions_of(self._session, namespace, each), writing=True)
                    output = ProductName(namespace, each, version)
                    found.append(Output(alias, output, entry.file_type, public, entry.description))
            except MultiblastError as error:
                self._problems.append(self._document.problem(_first(error), key))
        self._check_twice([output.alias for output in found], "write")
        return found

    def inputs(self, outputs: list[Output]) -> list[Input]:
        found: list[Input] = []
        for number, entry in enumerate(self._config.read):
            found += self._read(entry, f"read[{number}]", outputs)
        known = {one.alias for one in found}
        for number, registered in enumerate(registered_entries(self._config)):
            namespace, name, text = entry_name(registered, self._config)
            wanted = text if "${{" not in text else "${{LATEST}}"
            alias = registered.data_product or getattr(registered, "external_object", name)
            if alias not in known:
                found += self._find(alias, namespace, name, wanted, f"register[{number}]", "")
        self._check_twice([one.alias for one in found], "read")
        return found

    def _read(self, entry: ReadEntry, key: str, outputs: list[Output]) -> list[Input]:
        metadata = self._config.run_metadata
        namespace = entry.use.namespace or metadata.default_input_namespace
        name = entry.use.data_product or entry.data_product
        text = entry.use.version or metadata.default_read_version
        written = {(one.name.namespace, one.name.name) for one in outputs}
        if (namespace, name) in written and not versions_of(self._session, namespace, name):
            return []  # it is made by this very run
        found: list[Input] = []
        try:
            for alias, each in self._names(entry, namespace, name):
                found += self._find(alias, namespace, each, text, key, entry.description, lenient="*" in name)
        except MultiblastError as error:
            self._problems.append(self._document.problem(_first(error), key))
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

    def _find(  # noqa: PLR0913, PLR0917 - what is looked for, and where to say that it is not there
        self, alias: str, namespace: str, name: str, text: str, key: str, description: str, *, lenient: bool = False
    ) -> list[Input]:
        existing = versions_of(self._session, namespace, name)
        if not existing:
            message = f"{namespace}:{name} is not in the local registry: pull it first"
            self._problems.append(self._document.problem(message, key))
            return []
        if lenient and "${{" not in text and text not in existing:
            return []
        try:
            version = resolve_version(text, existing, writing=False)
        except MultiblastError as error:
            self._problems.append(self._document.problem(f"{namespace}:{name}: {_first(error)}", f"{key}.use.version"))
            return []
        product = existing[version]
        file_type = self._file_type(product)
        sha1 = content_of(self._session, product)
        return [Input(alias, ProductName(namespace, name, version), product.object_id, sha1, file_type, description)]

    def _file_type(self, product: DataProduct) -> str:
        item = self._session.get_one(Object, product.object_id)
        return self._session.get_one(FileType, item.file_type_id).extension if item.file_type_id else ""

    def _check_twice(self, aliases: list[str], key: str) -> None:
        for alias in sorted({alias for alias in aliases if aliases.count(alias) > 1}):
            self._problems.append(
                self._document.problem(f"{alias!r} stands for two things: name one of them apart", key)
            )


def _first(error: MultiblastError) -> str:
    return error.problems[0].message if isinstance(error, InvalidInputError) else str(error)


def _script(metadata: RunMetadata, path: Path, document: Document, problems: list[Problem]) -> str | None:
    if metadata.script:
        return metadata.script.rstrip("\n") + "\n"
    if not metadata.script_path:
        return None
    file = path.absolute().parent / Path(metadata.script_path).expanduser()
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read {str(file)!r}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        problems.append(document.problem(message, "run_metadata.script_path"))
        return None


def _check_search(
    search: SearchEntry, inputs: list[Input], outputs: list[Output], document: Document, problems: list[Problem]
) -> None:
    read = {one.alias for one in inputs}
    needed = {"search.query": search.query}
    needed |= {f"search.databases[{number}]": alias for number, alias in enumerate(search.databases)}
    problems += [
        document.problem(f"{alias!r} is not among what is read: add it there", key)
        for key, alias in needed.items()
        if alias not in read
    ]
    written = {one.alias for one in outputs}
    problems += [
        document.problem(f"{alias!r} is not among what is written: add it there", f"search.reports.{alias}")
        for alias in search.reports
        if alias not in written
    ]


def _settled(
    search: SearchEntry, queries: QueryRunner | None, document: Document, problems: list[Problem]
) -> SearchEntry:
    """Return the query with nothing left to look up, or as it is where that is not possible."""
    if queries is None:
        problems.append(document.problem("nothing is here that knows its databases: give queries", "search"))
        return search
    try:
        return queries.settle(search)
    except InvalidInputError as error:
        problems += [document.problem(problem.message, problem.key) for problem in error.problems]
        return search


def _plain(working: WorkingConfig) -> dict[str, Any]:
    """Return what the working configuration says, as plain data."""
    given = working.metadata
    metadata: dict[str, Any] = {
        "description": given.description,
        "latest_commit": given.latest_commit,
        "local_data_registry_url": given.local_data_registry_url,
        "remote_data_registry_url": given.remote_data_registry_url,
        "default_input_namespace": given.default_input_namespace,
        "default_output_namespace": given.default_output_namespace,
        "public": given.public,
        "write_data_store": given.write_data_store,
    }
    metadata |= {name: value for name in ("local_repo", "remote_repo") if (value := getattr(given, name))}
    if working.script is not None:
        metadata |= {"shell": given.shell, "script_path": f"{_CONFIG_DIR}{working.script_name}"}
    plain: dict[str, Any] = {"run_metadata": metadata}
    if working.inputs:
        plain["read"] = [_entry(one) for one in working.inputs]
    if working.outputs:
        plain["write"] = [_entry(one) | {"file_type": one.file_type, "public": one.public} for one in working.outputs]
    if working.search:
        plain["search"] = working.search.model_dump(mode="json")
    return plain


def _entry(one: Input | Output) -> dict[str, Any]:
    use = {"data_product": one.name.name, "namespace": one.name.namespace, "version": one.name.version}
    return {"data_product": one.alias, "use": use} | ({"description": one.description} if one.description else {})


def one_each(names: Mapping[str, Iterable[str]], text: str) -> dict[str, str]:
    """Return for each name the version that ``text`` means, leaving out names that do not have it."""
    found: dict[str, str] = {}
    for name, versions in names.items():
        try:
            found[name] = resolve_version(text, versions, writing=False)
        except InvalidInputError:
            continue
    return found
