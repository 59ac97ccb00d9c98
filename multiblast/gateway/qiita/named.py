"""Which plugins may be run, and on what: as the policy says, whatever a form asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, TypeAdapter, ValidationError

from multiblast.errors import InvalidInputError, NotFoundError, Problem
from multiblast.gateway.qiita.jobs import Artifact, QiitaWork
from multiblast.gateway.qiita.plugin import QiitaPlugin
from multiblast.settings import GatewayRules
from multiblast.stores.base import is_key

_Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: _Name
    files: dict[_Name, list[str]]
    name: str = ""
    preparation: NonNegativeInt = 1


class _Preparation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prep_file: str = Field(alias="prep-file")
    sample_file: str = Field(alias="sample-file")


_INPUTS = TypeAdapter(dict[NonNegativeInt, _Input])
_PREPARATIONS = TypeAdapter(dict[NonNegativeInt, _Preparation])


def named_plugin(rules: GatewayRules, name: str) -> QiitaPlugin:
    """Return a plugin that the policy names.

    Raises:
        InvalidInputError: it names none such, or the gateway is off, so that none can be run.
    """
    if not rules.enabled:
        problem = "plugins of Qiita work through the gateway, which is off: switch policy.gateway.enabled on"
        raise InvalidInputError(Problem(problem, "plugin"))
    found = rules.qiita_plugins.get(name)
    if found is None:
        named = ", ".join(sorted(rules.qiita_plugins)) or "none"
        reason = f"{name[:200]!r} is no plugin that may be run here"
        raise InvalidInputError(Problem(f"{reason}; policy.gateway.qiita_plugins names: {named}", "plugin"))
    environment = tuple(found.environment.items())
    return QiitaPlugin(name, found.version, found.start, environment, description=found.description)


def describe_plugin(rules: GatewayRules, name: str, version: str) -> dict[str, Any]:
    """Return what Qiita says of a plugin to one that registers itself.

    It has no commands there, whatever it registered before: which there are is the plugin's own business, and nothing
    of what it says of them is kept.

    Raises:
        NotFoundError: the policy names none of this name and version.
    """
    found = rules.qiita_plugins.get(name)
    if found is None or found.version != version:
        reason = "policy.gateway.qiita_plugins does not name it"
        raise NotFoundError("plugin", f"{name[:100]} {version[:100]}", reason)
    nothing: dict[str, Any] = {"commands": [], "publications": [], "default_workflows": []}
    facts = {"name": name, "version": version, "description": found.description}
    return {**facts, **nothing, "type": "artifact transformation", "active": True}


def check_command(said: Mapping[str, str]) -> None:
    """Make sure that what a plugin says of a command can be read.

    Raises:
        InvalidInputError: it cannot.
    """
    _check_form(said, "name", {"required_parameters", "optional_parameters", "outputs", "default_parameter_sets"}, dict)


def check_type(said: Mapping[str, str]) -> None:
    """Make sure that what a plugin says of a type of artifacts can be read.

    Raises:
        InvalidInputError: it cannot.
    """
    _check_form(said, "type_name", {"filepath_types"}, list)


def _check_form(said: Mapping[str, str], name: str, structured: set[str], kind: type) -> None:
    problems = [] if said.get(name, "").strip() else [Problem(f"No {name} defined", name)]
    for field in sorted(structured):
        try:
            value = json.loads(said.get(field) or "null")
        except (ValueError, RecursionError):
            value = ""
        if value is not None and not isinstance(value, kind):
            what = "names and values" if kind is dict else "a list"
            problems.append(Problem(f"{field} is to be JSON of {what}", field))
    if problems:
        raise InvalidInputError(problems)


def read_work(
    rules: GatewayRules,
    command: str,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    preparations: Mapping[str, Any],
) -> QiitaWork:
    """Read what a form says that a plugin shall do.

    Args:
        rules: Below which prefixes its files may lie.
        command: A command of the plugin.
        parameters: Of the command.
        inputs: ``{artifact number: {"type": …, "files": {Qiita's type of file: [keys]}}}``.
        preparations: ``{number: {"prep-file": key, "sample-file": key}}``.

    Raises:
        InvalidInputError: with all that is wrong with it.
    """
    problems = [] if command.strip() else [Problem("name a command of the plugin", "command")]
    artifacts = _read(_INPUTS, inputs, "inputs", problems)
    prepared = _read(_PREPARATIONS, preparations, "preparations", problems)
    work = QiitaWork(
        command,
        dict(parameters),
        {number: Artifact(one.type, one.files, one.name, one.preparation) for number, one in artifacts.items()},
        {number: one.model_dump(by_alias=True) for number, one in prepared.items()},
    )
    problems += _misplaced(rules, work.inputs())
    if problems:
        raise InvalidInputError(problems)
    return work


def _read(adapter: TypeAdapter[Any], said: Mapping[str, Any], field: str, problems: list[Problem]) -> dict[int, Any]:
    try:
        return dict(adapter.validate_python(said))
    except ValidationError as error:
        for one in error.errors(include_url=False):
            place = ".".join(str(word)[:100] for word in (field, *one["loc"]))
            problems.append(Problem(one["msg"], place))
    return {}


def _misplaced(rules: GatewayRules, keys: list[str]) -> Iterator[Problem]:
    """Yield what is wrong with the keys of inputs."""
    below = ", ".join(rules.qiita_reads) or "nothing"
    for key in dict.fromkeys(keys):
        if not is_key(key):
            yield Problem(f"{key[:200]!r} is no key of the storage: push the file there first", "inputs")
        elif not key.startswith(rules.qiita_reads):
            yield Problem(f"{key!r} may not be read by plugins: policy.gateway.qiita_reads names {below}", "inputs")
