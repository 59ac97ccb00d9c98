"""The form of a plugin, made from its table: its fields with what was typed and what is wrong, and what was sent."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from multiblast.actions.plugin_sources import PluginSources
from multiblast.errors import InvalidInputError
from multiblast.plugins.description import Description
from multiblast.plugins.parameters import Parameter
from web.bodies import read_form, text_fields
from web.pages.visitor import Visitor
from web.service import Service

_INPUT, _FILE, _PARAMETER = "input.", "file.", "parameter."


@dataclass(frozen=True, slots=True)
class Field:
    """A field as the page shows it.

    Attributes:
        key: As errors name it: ``parameters.NAME``.
        kind: ``text``, ``password``, ``number``, ``choice``, ``flag`` or, of a file or several, ``input``.
        takes: What goes in here, if that is a file.
    """

    key: str
    name: str
    label: str
    help: str
    kind: str
    value: str
    required: bool
    choices: tuple[str, ...] = ()
    many: bool = False
    takes: str = ""
    errors: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """The id of the field in the page."""
        return self.key.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Typed:
    """What was sent.

    Attributes:
        inputs: Texts by port.
        parameters: Texts by name.
    """

    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


def input_fields(description: Description, typed: Typed, error: InvalidInputError | None) -> list[Field]:
    """Return a field for each input."""
    return [
        Field(
            f"inputs.{name}",
            name,
            port.label or name,
            port.help,
            "input",
            "\n".join(typed.inputs.get(name, ())),
            port.required,
            many=port.many,
            takes=f"{port.data.removesuffix('/*')}{'' if '*' in port.content else ', as ' + ' or '.join(port.content)}",
            errors=_errors(error, f"inputs.{name}"),
        )
        for name, port in description.inputs.items()
    ]


def parameter_fields(
    parameters: Mapping[str, Parameter], given: Mapping[str, Any], error: InvalidInputError | None, key: str
) -> list[Field]:
    """Return a field for each parameter; what is private is not shown again.

    Args:
        parameters: By name.
        given: What was typed, by name.
        error: What is wrong with that.
        key: What the keys of errors begin with: ``parameters`` or ``answers``.
    """
    return [_field(name, one, given, error, f"{key}.{name}") for name, one in parameters.items()]


def _field(
    name: str, parameter: Parameter, given: Mapping[str, Any], error: InvalidInputError | None, key: str
) -> Field:
    kinds = {"choice": "choice", "flag": "flag", "integer": "number", "number": "number"}
    value = given.get(name, parameter.default)
    text = "" if value is None or parameter.is_private else str(value)
    notes = [
        parameter.help,
        _range(parameter),
        "Name a Secret block, plugin-NAME-… of this plugin's name." if parameter.type == "secret" else "",
    ]
    return Field(
        key,
        name,
        parameter.label or name,
        " ".join(note for note in notes if note),
        "password" if parameter.is_private else kinds.get(parameter.type, "text"),
        text.lower() if parameter.type == "flag" else text,
        parameter.required,
        parameter.choices,
        errors=_errors(error, key),
    )


def _range(parameter: Parameter) -> str:
    least, most = parameter.least, parameter.most
    if least is None and most is None:
        return ""
    low = "" if least is None else f"from {least:g}"
    return f"{low}{'' if most is None else f' up to {most:g}'}.".strip().capitalize()


def other_problems(error: InvalidInputError | None, fields: Sequence[Field]) -> list[str]:
    """Return what is wrong that no field shows."""
    if error is None:
        return []
    keys = {one.key for one in fields}
    return [str(problem) for problem in error.problems if problem.key not in keys]


def _errors(error: InvalidInputError | None, key: str) -> tuple[str, ...]:
    return tuple(error.by_key.get(key, ())) if error else ()


@asynccontextmanager
async def sent_form(request: Request, service: Service, visitor: Visitor) -> AsyncIterator[FormData]:
    """Give a form of ours, perhaps with files."""
    async with read_form(request, service.services.policy.http.body_bytes) as form:
        visitor.check_form(form, request)
        yield form


async def typed_inputs(form: FormData, description: Description, sources: PluginSources) -> dict[str, list[str]]:
    """Return the texts that name a plugin's inputs; files that were sent are kept, and named, too."""
    fields = text_fields(form)
    found: dict[str, list[str]] = {}
    for name in description.inputs:
        texts = [line.strip() for line in fields.get(f"{_INPUT}{name}", "").splitlines() if line.strip()]
        sent = [one for one in form.getlist(f"{_FILE}{name}") if isinstance(one, UploadFile) and one.filename]
        texts += [await run_in_threadpool(_kept, file, sources) for file in sent if file.size]
        if texts:
            found[name] = texts
    return found


def typed_parameters(form: FormData, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the values of parameters as they were typed; a box that is not ticked is false."""
    fields = text_fields(form)
    found: dict[str, Any] = {}
    for name, parameter in parameters.items():
        text = fields.get(f"{_PARAMETER}{name}", "")
        if parameter.type == "flag":
            found[name] = bool(text)
        elif text.strip() or (parameter.type == "text" and not parameter.required and not parameter.is_private):
            found[name] = text.strip()
    return found


def _kept(file: UploadFile, sources: PluginSources) -> str:
    with TemporaryDirectory(prefix="multiblast-") as directory:
        path = Path(directory) / "file"
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy)
        return sources.upload(path, file.filename or "")
