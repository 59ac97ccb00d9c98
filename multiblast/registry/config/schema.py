"""The configuration of a run: ``config.yaml`` as the FAIR tools know it, read whole and checked whole."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from semver import Version

from multiblast.errors import InvalidInputError, Problem
from multiblast.registry.config.document import Document

Shell = Literal["sh", "bash", "python", "python2", "python3", "R", "julia", "java", "pwsh", "powershell", "batch"]
_TAG = 2  # where pydantic's place of an entry to register has its kind: register, number, kind, key
_KINDS = ("external_object", "data_product", "namespace", "author")  # an external object may name its data product
_OF_A_FILE = ("root", "path", "cache", "file_type", "public", "hash")


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


class _RegisterEntry(_Entry):
    """Something to register. As in the FAIR tools, it may have keys of others, which are left out: `unread`."""

    model_config = ConfigDict(extra="allow")

    @property
    def unread(self) -> list[str]:
        """The keys that are recorded nowhere."""
        return sorted(self.model_extra or {})

    @model_validator(mode="after")
    def _no_slips(self) -> Self:
        """Refuse what is no key of others, but a slip: nobody would see what is missing then."""
        known = type(self).model_fields
        for key in self.unread:
            if key in _KINDS:
                remedy = "write namespace_name" if key == "namespace" else "make it an entry of its own"
                raise ValueError(f"an entry is one thing, and {key} is another: {remedy}")
            if meant := get_close_matches(key, known, 1, 0.8):
                raise ValueError(f"the key {key} is not known: write {meant[0]}, or leave it out")
        return self


def _web_site(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is no address: begin with https://")
    return text


WebSite = Annotated[str, AfterValidator(_web_site)]


class NamespaceEntry(_RegisterEntry):
    """A namespace to register."""

    namespace: str = Field(min_length=1)
    full_name: str | None = None
    website: WebSite | None = None


class AuthorEntry(_RegisterEntry):
    """An author to register."""

    author: str = Field(min_length=1)
    name: str = ""
    identifier: str | None = None


def _one_or_many(given: Any) -> Any:
    """Return a list; the FAIR tools take one author as text, too."""
    return (given,) if isinstance(given, str) else given


class DataProductEntry(_RegisterEntry):
    """A file from elsewhere to register as a data product.

    Attributes:
        namespace_full_name: Of its namespace, if that is not here yet; and so is ``namespace_website``.
        no_file: That there is none: of something published that is not a file, such as a database that runs query.
    """

    data_product: str = Field(min_length=1)
    no_file: bool = False
    root: str = ""
    path: str = ""
    cache: str = ""
    file_type: str = Field(default="", validate_default=True)
    version: str = ""
    public: bool | None = None
    namespace_name: str = ""
    namespace_full_name: str | None = None
    namespace_website: WebSite | None = None
    description: str = ""
    authors: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    hash: str = Field(default="", pattern=r"^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})?$")
    use: Use = Use()

    @field_validator("file_type")
    @classmethod
    def _typed(cls, file_type: str, info: ValidationInfo) -> str:
        if not file_type and not info.data.get("no_file"):
            raise PydanticCustomError("missing", "this key is needed")
        return file_type

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.no_file:
            self._check_without_file()
        elif not self.cache and not (self.root and self.path):
            raise ValueError("say where the file is: root and path, or cache for one on this machine")
        return self

    def _check_without_file(self) -> None:
        if not isinstance(self, ExternalObjectEntry):
            raise ValueError("only an external_object may have no_file")  # noqa: TRY004 - pydantic collects ValueError
        given = [key for key in _OF_A_FILE if key in self.model_fields_set] + (["use.cache"] if self.use.cache else [])
        if given:
            raise ValueError(f"it has no_file: leave out {', '.join(given)}")
        if not Version.is_valid(self.use.version or self.version):
            raise ValueError("it has no_file, which nothing else could change: give its version, as in 1.0.0")


class ExternalObjectEntry(DataProductEntry):
    """Something published to register, with the data product it becomes.

    Attributes:
        release_version: Of what was published; that of the data product if it is not given.
    """

    data_product: str = ""
    external_object: str = Field(min_length=1)
    title: str = Field(min_length=1)
    release_date: datetime
    release_version: str = ""
    primary: bool = True
    identifier: str | None = None
    unique_name: str | None = None
    alternate_identifier_type: str | None = None

    @field_validator("release_version")
    @classmethod
    def _released(cls, version: str) -> str:
        if not Version.is_valid(version):
            raise ValueError(f"{version!r} is no version: write three numbers, as in 2.1.0")
        return version

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
        reports: For a write entry's ``data_product``, the report's options; ``outfmt`` is which report.
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


def _register_kind(entry: Any) -> str | None:
    return next((kind for kind in _KINDS if kind in entry), None) if isinstance(entry, dict) else None


RegisterEntry = Annotated[
    Annotated[NamespaceEntry, Tag("namespace")]
    | Annotated[AuthorEntry, Tag("author")]
    | Annotated[DataProductEntry, Tag("data_product")]
    | Annotated[ExternalObjectEntry, Tag("external_object")],
    Discriminator(
        _register_kind,
        custom_error_type="no_kind",
        custom_error_message="begin with one of namespace, author, data_product, external_object",
    ),
]


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

    @property
    def registered(self) -> list[DataProductEntry]:
        """The entries that make data products."""
        return [entry for entry in self.register_ if isinstance(entry, DataProductEntry)]

    @property
    def unread(self) -> list[str]:
        """Remarks on keys of entries to register that are recorded nowhere."""
        entries = enumerate(self.register_)
        return [f"register[{n}]: {', '.join(entry.unread)} is recorded nowhere" for n, entry in entries if entry.unread]

    def name_of(self, entry: ReadEntry | DataProductEntry) -> tuple[str, str, str]:
        """Return namespace, name and version, or version word, that an entry reads, writes or registers."""
        defaults, name = self.run_metadata, entry.use.data_product or entry.data_product
        if isinstance(entry, WriteEntry):
            namespace, version = defaults.default_output_namespace, defaults.default_write_version
        elif isinstance(entry, ReadEntry):
            namespace, version = defaults.default_input_namespace, defaults.default_read_version
        else:
            name = name or getattr(entry, "external_object", "")
            namespace = entry.namespace_name or defaults.default_input_namespace
            version = entry.version or defaults.default_write_version
        return entry.use.namespace or namespace, name, entry.use.version or version


def parse_config(data: dict[str, Any], document: Document) -> Config:
    """Check the content of a document.

    Raises:
        InvalidInputError: with all problems, each with file, line and key.
    """
    try:
        return Config.model_validate(_without_nothing(data))
    except ValidationError as error:
        raise InvalidInputError(_problems(error, document)) from error


def _without_nothing(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is given as nothing: ``read:`` with no entries is no mistake."""
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value is not None
    }


def _problems(error: ValidationError, document: Document) -> list[Problem]:
    messages = {
        "extra_forbidden": "this key is not known: correct it, or leave it out",
        "missing": "this key is needed",
        "tuple_type": "write a list here, each entry behind a dash",
        "list_type": "write a list here, each entry behind a dash",
        "model_type": "write keys with values here",
        "model_attributes_type": "write keys with values here",
        "dict_type": "write keys with values here",
        "string_type": "write a text here",
        "bool_type": "write true or false here",
        "bool_parsing": "write true or false here",
    }
    found: list[Problem] = []
    for one in error.errors():
        key = ""
        place = [part for number, part in enumerate(one["loc"]) if one["loc"][0] != "register" or number != _TAG]
        for part in place:
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        message = messages.get(one["type"], one["msg"].removeprefix("Value error, "))
        found.append(document.problem(message, key))
    return sorted(found, key=lambda problem: problem.line)
