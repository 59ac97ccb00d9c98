"""Forms made from a plugin's table: JSON schemas for browsers, and models that check what is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, create_model

from multiblast.plugins.description import Description
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.ports import Input

BaseT = TypeVar("BaseT", bound=BaseModel)

_TYPES = {"text": "string", "secret": "string", "choice": "string", "flag": "boolean", "integer": "integer"}
_KINDS: dict[str, Any] = {"text": str, "secret": str, "flag": bool, "integer": int, "number": float}


def parameter_schema(name: str, parameter: Parameter, position: int) -> dict[str, Any]:
    """Return the JSON schema of a parameter, as a field of a form."""
    schema: dict[str, Any] = {
        "title": parameter.label or name,
        "type": _TYPES.get(parameter.type, "number"),
        "position": position,
    }
    text = parameter.help + (
        " Name a Secret block, plugin-NAME-… of this plugin's name." if parameter.type == "secret" else ""
    )
    optional: dict[str, Any] = {
        "description": text.strip(),
        "default": parameter.default,
        "enum": list(parameter.choices) or None,
        "pattern": f"^({parameter.pattern})$" if parameter.pattern else None,
        "minimum": parameter.least,
        "maximum": parameter.most,
    }
    return schema | {key: value for key, value in optional.items() if value is not None and value != ""}


def input_schema(name: str, port: Input, position: int) -> dict[str, Any]:
    """Return the JSON schema of an input, as a field of a form: a text that names it, or several."""
    kind = f"{port.data}, as {' or '.join(port.content)}".replace(", as *", "")
    text = f"{port.help} It takes {kind}: job:ID, plugin:ID/PORT, report:ID/FILE, store:KEY or a URL."
    schema: dict[str, Any] = {"title": port.label or name, "description": text.strip(), "position": position}
    if port.many:
        return schema | {"type": "array", "items": {"type": "string"}} | ({"minItems": 1} if port.required else {})
    return schema | {"type": "string"} | ({"minLength": 1} if port.required else {"default": ""})


def form_schema(description: Description) -> dict[str, Any]:
    """Return the JSON schema of the inputs and parameters of a plugin, as the groups of one form."""
    ports, parameters = description.inputs, description.parameters
    groups = {
        "inputs": {
            "title": "Inputs",
            "type": "object",
            "position": 0,
            "additionalProperties": False,
            "properties": {name: input_schema(name, one, at) for at, (name, one) in enumerate(ports.items())},
            "required": [name for name, one in ports.items() if one.required],
        },
        "parameters": {
            "title": "Parameters",
            "type": "object",
            "position": 1,
            "additionalProperties": False,
            "properties": {name: parameter_schema(name, one, at) for at, (name, one) in enumerate(parameters.items())},
            "required": [name for name, one in parameters.items() if one.required],
        },
    }
    return {name: group for name, group in groups.items() if group["properties"]}


def answer_model(form: Mapping[str, Any], base: type[BaseT]) -> type[BaseT]:
    """Return a model, based on another, of what a person answers to a question.

    Args:
        form: Parameters as a round keeps them.
        base: What the model inherits from.
    """
    fields: dict[str, Any] = {}
    for name, one in form.items():
        parameter = Parameter.model_validate(one)
        kind = Literal[parameter.choices] if parameter.choices else _KINDS[parameter.type]
        default: Any = ... if parameter.required else parameter.default
        text = parameter.help or None
        limits: dict[str, Any] = (
            {"ge": parameter.least, "le": parameter.most} if parameter.type in {"integer", "number"} else {}
        )
        fields[name] = (kind, Field(default, title=parameter.label or name, description=text, **limits))
    return create_model("Answer", __base__=base, **fields)


def facts(description: Description, language: str = "", *, form: bool = False) -> dict[str, Any]:
    """Return a plugin's table as plain data for clients, without how it is run.

    Args:
        description: The table.
        language: Of what people read, such as ``de``; where the table has none of it, the words are as they are.
        form: Whether the JSON schema of its form is in it.
    """
    hidden = {"run", "search", "state", "schedules", "text", "needs"}
    shown = localized(description, language)
    found: dict[str, Any] = shown.model_dump(mode="json", exclude=hidden, exclude_none=True)
    found |= {"identifier": description.identifier, "languages": sorted(description.text)}
    return found | ({"form": form_schema(shown)} if form else {})


def localized(description: Description, language: str) -> Description:
    """Return a table with what people read in a language, such as ``de-AT``, for which ``de`` will do."""
    words = description.text.get(language) or description.text.get(language.partition("-")[0])
    if words is None:
        return description

    def in_words(ports: Mapping[str, BaseT]) -> dict[str, BaseT]:
        return {
            name: port.model_copy(
                update={
                    **({"label": words.labels[name]} if name in words.labels else {}),
                    **({"help": words.help[name]} if name in words.help else {}),
                }
            )
            for name, port in ports.items()
        }

    changes: dict[str, Any] = {
        "inputs": in_words(description.inputs),
        "outputs": in_words(description.outputs),
        "parameters": in_words(description.parameters),
    }
    texts = {"title": words.title, "description": words.description}
    return description.model_copy(update=changes | {name: text for name, text in texts.items() if text})
