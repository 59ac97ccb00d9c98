"""The catalogue of actions on jobs: a marked method of a door, from which its command and its documentation follow."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_MARK = "__multiblast_action__"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an action is given, beside who requests it; ``default`` is `inspect.Parameter.empty` if it must be."""

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Action:
    """An action on jobs.

    Attributes:
        name: Of the command that does it, below ``multiblast jobs`` or ``multiblast reports``.
        answer: What it answers, for the documentation.
        done: What the command says in the end, with ``{job_id}`` and other parameters, if there is no answer to print.
        columns: Of a list of answers, those that the command shows.
        spelled: How the command spells options that are not spelled as their parameters.
        flow: The deployment that does it, if it starts or stops a run.
        command: Another command that does it, which is written by hand.
    """

    name: str
    answer: str = ""
    done: str = ""
    columns: tuple[str, ...] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)
    flow: str = ""
    command: str = ""
    method: str = ""
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    returns: Any = None


def action(name: str, **more: Any) -> Callable[[FunctionT], FunctionT]:
    """Mark a method as an action, whose first parameter is who requests it, with what does not follow from it."""

    def mark(function: FunctionT) -> FunctionT:
        setattr(function, _MARK, {"name": name, **more})
        return function

    return mark


def actions_of(door: type) -> list[Action]:
    """Return the actions of a door, its own before those that all doors have, in the order of their files."""
    names = dict.fromkeys(name for kind in door.__mro__ for name in vars(kind))
    found = [getattr(door, name) for name in names]
    return [_read(function) for function in found if hasattr(function, _MARK)]


def _read(function: Callable[..., Any]) -> Action:
    hints = get_type_hints(function)
    text = inspect.getdoc(function) or ""
    helps = _argument_helps(text)
    _self, _requester, *rest = inspect.signature(function).parameters.values()
    return Action(
        **getattr(function, _MARK),
        method=function.__name__,
        summary=" ".join(text.partition("\n\n")[0].split()),
        parameters=tuple(
            Parameter(given.name, hints[given.name], given.default, helps.get(given.name, "")) for given in rest
        ),
        returns=hints["return"],
    )


def _argument_helps(docstring: str) -> dict[str, str]:
    """Return what the section ``Args:`` of a docstring in Google's style says of each argument."""
    _, _, section = docstring.partition("\nArgs:\n")
    helps: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.startswith("    "):
            break
        if (found := re.match(r" {4}(\w+): (.*)", line)) is not None:
            name = found[1]
            helps[name] = found[2]
        else:
            helps[name] += f" {line.strip()}"
    return helps
