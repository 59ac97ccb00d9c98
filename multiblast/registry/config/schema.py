"""The configuration of a run: ``config.yaml`` as the FAIR tools know it, read whole and checked whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from multiblast.errors import InvalidInputError, Problem
from multiblast.registry.config.document import Document, read_document

if TYPE_CHECKING:
    pass

Shell = Literal["sh", "bash", "python", "python2", "python3", "R", "julia", "java", "pwsh", "powershell", "batch"]
_KINDS = ("namespace", "author", "data_product", "external_object")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class RunMetadata(_Entry):
    """What holds for the whole run."""

    description: str = ""
    local_repo: str = ""
    remote_repo: str = ""
    latest_commit: str = ""
    local_data_registry_url: str = ""
    remote_data_registry_url: str = ""
    default_input_namespace: str = ""
    default_output_namespace: str = ""
    default_read_version: str = "${{LATEST}}"
    default_write_version: str = "${{PATCH}}"
    write_data_store: str = ""
    script: str = ""
    script_path: str = ""
    shell: str = "sh"
    public: bool = True

    @field_validator("shell")
    @classmethod
    def _known(cls, shell: str) -> str:
        if not shell.split() or shell.split(maxsplit=1)[0] not in get_args(Shell):
            raise ValueError(f"{shell!r} is no shell that is known: begin with one of {', '.join(get_args(Shell))}")
        return shell

    @model_validator(mode="after")
    def _one_script(self) -> Self:
        if self.script and self.script_path:
            raise ValueError("give either script or script_path, and not both")
        return self


class Use(_Entry):
    """What an entry really stands for."""

    data_product: str = ""
    version: str = ""
    namespace: str = ""
    cache: str = ""


class ReadEntry(_Entry):
    """Something to read; ``*`` stands for one segment of a name."""

    data_product: str = Field(min_length=1)
    description: str = ""
    use: Use = Use()


class WriteEntry(ReadEntry):
    """Something to write."""

    file_type: str = Field(min_length=1)
    public: bool | None = None


class NamespaceEntry(_Entry):
    """A namespace to register."""

    namespace: str = Field(min_length=1)
    full_name: str | None = None
    website: str | None = None


class AuthorEntry(_Entry):
    """An author to register."""

    author: str = Field(min_length=1)
    name: str = ""
    identifier: str | None = None


class DataProductEntry(_Entry):
    """A file from elsewhere to register as a data product."""

    data_product: str = Field(min_length=1)
    root: str = ""
    path: str = ""
    cache: str = ""
    file_type: str = Field(min_length=1)
    version: str = ""
    public: bool | None = None
    namespace_name: str = ""
    description: str = ""
    authors: tuple[str, ...] = ()
    hash: str = Field(default="", pattern=r"^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})?$")
    use: Use = Use()

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.cache and not (self.root and self.path):
            raise ValueError("say where the file is: root and path, or cache for one on this machine")
        return self


class ExternalObjectEntry(DataProductEntry):
    """Something published to register, with the data product it becomes."""

    data_product: str = ""
    external_object: str = Field(min_length=1)
    title: str = Field(min_length=1)
    release_date: datetime
    primary: bool = True
    identifier: str | None = None
    unique_name: str | None = None
    alternate_identifier_type: str | None = None

    @model_validator(mode="after")
    def _identified(self) -> Self:
        named = bool(self.unique_name and self.alternate_identifier_type)
        if bool(self.identifier) == named or bool(self.unique_name) != bool(self.alternate_identifier_type):
            raise ValueError("give either identifier, or unique_name with alternate_identifier_type")
        return self


class SearchEntry(_Entry):
    """A multiblast query to run instead of a script.

    Attributes:
        query: The ``data_product`` of a read entry: a FASTA file.
        targets: Databases of this installation, ``TARGET/DATABASE`` or ``SITE/TARGET/DATABASE``.
        databases: The ``data_product`` of read entries that are to be searched: FASTA, or archives of BLAST+ databases.
        fingerprints: For targets, written ``SITE/TARGET/DATABASE``, the fingerprint that the database must have.
        reports: For a write entry's ``data_product``, the report's options; ``outfmt`` says which report.
    """

    program: str = "blastp"
    query: str = Field(min_length=1)
    site: str = ""
    targets: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    fingerprints: dict[str, str] = {}
    options: dict[str, Any] = {}
    reports: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.targets and not self.databases:
            raise ValueError("say what is searched: targets, databases, or both")
        return self


RegisterEntry = NamespaceEntry | AuthorEntry | DataProductEntry | ExternalObjectEntry


class Config(_Entry):
    """A whole configuration."""

    run_metadata: RunMetadata = RunMetadata()
    read: tuple[ReadEntry, ...] = ()
    write: tuple[WriteEntry, ...] = ()
    register_: tuple[RegisterEntry, ...] = Field(default=(), alias="register")
    search: SearchEntry | None = None

    @model_validator(mode="after")
    def _one_thing_to_run(self) -> Self:
        if self.search and (self.run_metadata.script or self.run_metadata.script_path):
            raise ValueError("give either a script or a search, and not both")
        return self


def read_config(path: Path) -> tuple[Config, Document]:
    """Read a configuration.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise InvalidInputError(
            Problem("a configuration is a mapping with run_metadata, read, write or register", path.name)
        )
    return parse_config(document.data, document), document


def parse_config(data: dict[str, Any], document: Document) -> Config:
    """Check what a document says.

    Raises:
        InvalidInputError: as `read_config`.
    """
    problems: list[Problem] = []
    entries = data.get("register")
    registered: list[RegisterEntry] = []
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        place = f"register[{number}]"
        model = _register_model(entry)
        if model is None:
            problems.append(document.problem(f"begin with one of {', '.join(_KINDS)}", place))
            continue
        try:
            registered.append(model.model_validate(entry))
        except ValidationError as error:
            problems += _problems(error, document, place)
    try:
        config = Config.model_validate({**_without_nothing(data), "register": ()})
    except ValidationError as error:
        raise InvalidInputError(sorted([*problems, *_problems(error, document)], key=lambda p: p.line)) from error
    if problems:
        raise InvalidInputError(problems)
    return config.model_copy(update={"register_": tuple(registered)})


def _without_nothing(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is given as nothing: ``read:`` with no entries is no mistake."""
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value is not None
    }


def _register_model(entry: Any) -> type[RegisterEntry] | None:
    if not isinstance(entry, dict):
        return None
    if "external_object" in entry:
        return ExternalObjectEntry
    if "data_product" in entry:
        return DataProductEntry
    if "namespace" in entry:
        return NamespaceEntry
    return AuthorEntry if "author" in entry else None


def _problems(error: ValidationError, document: Document, above: str = "") -> list[Problem]:
    found: list[Problem] = []
    for one in error.errors():
        key = above
        for part in one["loc"]:
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        if one["type"] == "extra_forbidden":
            message = "this key is not known: correct it, or leave it out"
        elif one["type"] == "missing":
            message = "this key is needed"
        else:
            message = one["msg"].removeprefix("Value error, ")
        found.append(document.problem(message, key))
    return found


def entry_name(entry: DataProductEntry, config: Config) -> tuple[str, str, str]:
    """Return namespace, name and version, or version word, that an entry registers."""
    name = entry.use.data_product or entry.data_product
    if isinstance(entry, ExternalObjectEntry):
        name = name or entry.external_object
    namespace = entry.use.namespace or entry.namespace_name or config.run_metadata.default_input_namespace
    return namespace, name, entry.use.version or entry.version or config.run_metadata.default_write_version


def registered_entries(config: Config) -> Sequence[DataProductEntry]:
    """Return the entries that make data products."""
    return [entry for entry in config.register_ if isinstance(entry, DataProductEntry)]
