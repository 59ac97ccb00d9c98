"""The catalogue of actions on jobs: a marked method of a door, from which its command and its documentation follow."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeVar, get_type_hints

from multiblast.lazy_exports import imported_for_types

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


@dataclass(frozen=True)
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
    function: Callable[..., Any] = field(kw_only=True)

    @property
    def method(self) -> str:
        """The name of the door's method."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """What it does, in a sentence or two."""
        return " ".join((inspect.getdoc(self.function) or "").partition("\n\n")[0].split())

    @property
    def returns(self) -> Any:
        """The type of what it answers."""
        return self._type("return")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it is given."""
        helps = _argument_helps(inspect.getdoc(self.function) or "")
        _self, _requester, *rest = inspect.signature(self.function).parameters.values()
        return tuple(
            Parameter(given.name, self._type(given.name), given.default, helps.get(given.name, "")) for given in rest
        )

    def _type(self, name: str) -> Any:
        """Return the type of a parameter, also where its module imports that for types only."""
        module, written = sys.modules[self.function.__module__], self.function.__annotations__[name]
        late = {}
        for word in re.findall(r"\w+", written):
            with suppress(KeyError):
                late[word] = imported_for_types(module, word)
        return get_type_hints(SimpleNamespace(__annotations__={name: written}), vars(module), late)[name]


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
    return [Action(**getattr(one, _MARK), function=one) for one in found if hasattr(one, _MARK)]


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
