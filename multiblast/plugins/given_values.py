"""Values that are given for parameters, checked all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiblast.errors import InvalidInputError, Problem, collecting
from multiblast.plugins.parameters import Parameter
from multiblast.plugins.plugin import Plugin
from multiblast.plugins.run import check_secret


def checked_parameters(plugin: Plugin, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not default, each as its type.

    Raises:
        InvalidInputError: with every problem, by name.
    """
    checked = checked_values(plugin.description.parameters, given, "parameters")
    problems: list[Problem] = []
    for name, value in checked.items():
        if value and plugin.description.parameters[name].type == "secret":
            with collecting(problems):
                check_secret(plugin.name, str(value), f"parameters.{name}")
    if problems:
        raise InvalidInputError(problems)
    return checked


def checked_values(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], key: str, *, keep_defaults: bool = False
) -> dict[str, Any]:
    """Return given values that are not the defaults, or all, each as its type.

    Args:
        declared: What may be given, by name.
        given: Values by name.
        key: The field that errors name, before the name.
        keep_defaults: Whether values are returned for all that is declared.

    Raises:
        InvalidInputError: with every problem, by name.
    """
    problems = [
        Problem(f"there is no such parameter; there is {', '.join(declared) or 'none'}", f"{key}.{name}")
        for name in given
        if name not in declared
    ]
    checked: dict[str, Any] = {}
    for name, parameter in declared.items():
        if given.get(name) in (None, "") and not (
            name in given and parameter.type == "text" and not parameter.required
        ):
            if parameter.required:
                problems.append(Problem("this is needed", f"{key}.{name}"))
            elif keep_defaults:
                checked[name] = parameter.default
            continue
        with collecting(problems):
            value = given[name] if given[name] == "" else parameter.checked(given[name], f"{key}.{name}")
            if keep_defaults or value != parameter.default:
                checked[name] = value
    if problems:
        raise InvalidInputError(problems)
    return checked
