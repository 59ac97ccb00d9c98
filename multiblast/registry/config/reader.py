"""Configurations as they are run: with their variables put in, and defaults for what they leave out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from multiblast.errors import InvalidInputError, Problem, collecting
from multiblast.registry.api.addresses import api_address
from multiblast.registry.config.document import Document, read_document
from multiblast.registry.config.schema import Config, RunMetadata, parse_config
from multiblast.registry.config.variables import Repository, VariableValues, substitute
from multiblast.registry.local.records import place_of_code
from multiblast.registry.local.registry import Registry
from multiblast.registry.local.secrets import shown
from multiblast.registry.local.users import RegistryUser
from multiblast.registry.remotes.known import Remotes


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
    metadata = document.data.get("run_metadata")
    place = metadata.get("local_repo") if isinstance(metadata, dict) else None
    repository = Repository(Path(str(place)) if place else path.absolute().parent)
    now = now or datetime.now(UTC)
    values = VariableValues(now, repository.user or user.username, user.identifier, path, repository)
    data = document.data
    problems: list[Problem] = []
    with collecting(problems):
        data = substitute(document, values)
    with collecting(problems):
        config = parse_config(data, document)
    if problems:
        raise InvalidInputError(sorted(problems, key=lambda problem: problem.line))
    whole = _completed(config.run_metadata, path, repository, user, Remotes(registry).url(user.remote))
    return config.model_copy(update={"run_metadata": whole}), document, repository


def _completed(
    given: RunMetadata, path: Path, repository: Repository, user: RegistryUser, remote_url: str
) -> RunMetadata:
    """Return metadata with defaults for what it leaves out, and what git says of the code."""
    defaults = {
        "default_input_namespace": user.namespace,
        "default_output_namespace": user.namespace,
        "remote_data_registry_url": remote_url,
        "write_data_store": user.data_store,
    }
    missing = {name: value for name, value in defaults.items() if not getattr(given, name)}
    # Everybody may read what was run.
    missing["remote_data_registry_url"] = shown(given.remote_data_registry_url or defaults["remote_data_registry_url"])
    if store := given.write_data_store.removeprefix("file://"):  # relative: as everything else in a configuration
        missing["write_data_store"] = str(path.absolute().parent / Path(store).expanduser())
    # What git reports of the files that are about to run wins over what somebody wrote: the record must not claim
    # a commit that did not run.
    missing["latest_commit"] = repository.state or given.latest_commit
    missing["local_data_registry_url"] = api_address()
    missing["local_repo"] = str(repository.root)
    missing["remote_repo"] = _web_address(shown(given.remote_repo or repository.remote)) or f"file://{repository.root}/"
    missing["description"] = given.description or f"run of {missing['latest_commit'] or 'a script'}"
    return given.model_copy(update=missing)


def _web_address(repository: str) -> str:
    """Return a repository's address as a URL, which is all that some languages can take apart."""
    place = place_of_code(repository)
    if place is None or not place[0].startswith("ssh://"):
        return repository
    return place[0].replace("ssh://", "https://") + place[1]
