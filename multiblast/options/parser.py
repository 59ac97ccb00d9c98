"""Options as people write them (text pairs, a mapping, a ``blastConfig``) to typed options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from multiblast.errors import InvalidInputError, Problem
from multiblast.options.base import Options
from multiblast.options.excluded import EXCLUDED, EXCLUDED_OF
from multiblast.options.programs import is_program, options_for, program_names


def parse_options(program: str, options: Mapping[str, Any] | Iterable[str] = (), *, key: str = "") -> Options:
    """Read the options of a program; their names are BLAST+'s or those of a ``blastConfig``.

    Args:
        program: The name of a program.
        options: A mapping, in which ``None`` means not given, or texts such as ``"evalue=1e-5"`` (``"ungapped"``
            alone switches on).
        key: What stands before each name in the key of a problem, e.g. ``"blastConfig."``.

    Raises:
        InvalidInputError: with every problem, its key spelled as the user wrote it.
        NotFoundError: no such program.
    """
    model = options_for(program)
    pairs = list(options.items()) if isinstance(options, Mapping) else [_pair(text) for text in options]
    values, spelled, problems = _names(model, pairs)
    found, problems_of_values = _validate(model, values)
    problems += [Problem(problem.message, spelled.get(problem.key, problem.key)) for problem in problems_of_values]
    if problems or found is None:
        raise InvalidInputError([Problem(problem.message, key + problem.key) for problem in problems])
    return found


def options_from_config(config: Mapping[str, Any]) -> Options:
    """Read a ``blastConfig``: options by its spelling or BLAST+'s, the program under ``tool``.

    Raises:
        InvalidInputError: with every problem, by key (``blastConfig.eValue``).
    """
    program = config.get("tool")
    if not isinstance(program, str) or not is_program(program):
        choices = ", ".join(program_names())
        raise InvalidInputError(Problem(f"{program!r} is no program; choose one of {choices}", "blastConfig.tool"))
    options = {name: value for name, value in config.items() if name != "tool"}
    return parse_options(program, options, key="blastConfig.")


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    return (name.strip().lstrip("-"), value.strip() if equals else True)


def _names(
    model: type[Options], pairs: Iterable[tuple[str, Any]]
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Return values by BLAST+'s names, how the user spelled each name, and what is wrong with the names."""
    known = {model.declared[name].config: name for name in model.declared} | {name: name for name in model.declared}
    values: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    problems = []
    for written, value in pairs:
        name = known.get(written)
        if name is None:
            problems.append(Problem(_unknown(model, written, known), written))
        elif name in values:
            problems.append(Problem(f"given twice, as {spelled[name]} before; leave one out", written))
        elif value is not None:
            values[name], spelled[name] = value, written
    return values, spelled, problems


def _unknown(model: type[Options], written: str, known: Mapping[str, str]) -> str:
    program = model.model_fields["program"].default
    if reason := EXCLUDED_OF.get(program, {}).get(written) or EXCLUDED.get(written):
        return f"cannot be chosen here: {reason}"
    close = dict.fromkeys(known[name] for name in get_close_matches(written, known))
    advice = f"did you mean {' or '.join(close)}?" if close else f"the others are {', '.join(model.declared)}"
    return f"{program} has no option {written!r}; {advice}"


def _validate(model: type[Options], values: Mapping[str, Any]) -> tuple[Options | None, list[Problem]]:
    """Return the options, or every problem: of single values first, then contradictions among the good ones."""
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        items = error.errors()
    problems = [problem for item in items for problem in _problems(model, item)]
    bad = {problem.key for problem in problems if problem.key in values}
    if not any(item["loc"] for item in items):
        return None, problems
    again = _validate(model, {name: value for name, value in values.items() if name not in bad})[1]
    return None, problems + [problem for problem in again if bad.isdisjoint(model.declared[problem.key].requires)]


def _problems(model: type[Options], item: Any) -> list[Problem]:
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, InvalidInputError):
        return list(cause.problems)
    name = str(item["loc"][0])
    reason = str(cause) if cause else str(item["msg"]).replace("Input should", "it should").removesuffix(".")
    if item["type"] == "string_pattern_mismatch":
        reason = "it is not written as this option needs it"
    remedy = "" if cause else f" ({model.model_fields[name].description})"
    return [Problem(f"{item['input']!r} is not possible: {reason}{remedy}", name)]
