"""What the options of all programs have in common: defaults, canonical form, argument list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator

from multiblast.errors import InvalidInputError
from multiblast.ids import Canonical
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.options.declaration import Form, Option
from multiblast.options.defaults import MATRIX_DEPENDENT, task_defaults
from multiblast.options.rules import contradictions

__all__ = ["Options"]


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Say in each form what an empty input means, and keep the order of the fields."""
    for position, (name, field) in enumerate(schema["properties"].items()):
        field["position"] = position
        field.setdefault("description", "The program these options are for.")
        if issubclass(model, Options) and field.get("default", "") is None:
            del field["default"]
            if "Empty:" not in field["description"]:
                field["description"] += f" Empty: {model.default_text(name)}."


class Options(BaseModel):
    """The options of one program, under the names BLAST+ gives them.

    An option left unset is ``None`` where the program has no fixed default, and
    the default that the program's help names otherwise.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        field_title_generator=lambda name, _: name,
        json_schema_extra=_describe,
    )

    query_molecule: ClassVar[Molecule]
    """What the program searches with."""
    database_kind: ClassVar[DatabaseKind]
    """What the program searches in."""

    program: str

    @property
    def chosen_task(self) -> str:
        """The task chosen; empty for a program without tasks."""
        return str(getattr(self, "task", ""))

    @property
    def profile(self) -> str:
        """The PSSM that takes the place of a query: its text, store key, path or id; empty if there is none."""
        return str(getattr(self, "in_pssm", ""))

    @property
    def keeps_case(self) -> bool:
        """Whether lower-case letters of a query count as masked, so that its case is part of what is searched."""
        return bool(getattr(self, "lcase_masking", False))

    @property
    def reads_titles(self) -> bool:
        """Whether ids such as ``sp|P12345|NAME`` are read from the titles of queries."""
        return bool(getattr(self, "parse_deflines", False))

    @property
    def most_targets(self) -> int:
        """How many database sequences a query may be aligned with."""
        return int(getattr(self, "max_target_seqs", 500))

    @property
    def megablast_index(self) -> str | None:
        """The name of the MegaBLAST index that is used; empty for the database's own, ``None`` for no index."""
        return str(getattr(self, "index_name", "")) if getattr(self, "use_index", False) else None

    @property
    def word_letters(self) -> int | None:
        """The length of words, if another one was chosen than the task's."""
        value: int | None = getattr(self, "word_size", None)
        return value

    @property
    def word_threshold(self) -> float | None:
        """What similar protein words must score, if something else was chosen than the task's value."""
        value: float | None = getattr(self, "threshold", None)
        return value

    @property
    def aligns_exactly(self) -> bool:
        """Whether final alignments are calculated by full Smith-Waterman."""
        return bool(getattr(self, "use_sw_tback", False))

    @property
    def iterates_to_the_end(self) -> bool:
        """Whether a search is repeated until it finds nothing new."""
        return getattr(self, "num_iterations", 1) == 0

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        problems = contradictions(self)
        if problems:
            raise InvalidInputError(problems)
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Absent means unset, so that what is written fits the schema that forms use."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the options, in the order of the form."""
        return tuple(name for name in cls.model_fields if name != "program")

    @classmethod
    def option(cls, name: str) -> Option:
        """Return what is declared about an option."""
        return next(item for item in cls.model_fields[name].metadata if isinstance(item, Option))

    @classmethod
    def task_names(cls) -> tuple[str, ...]:
        """Return the presets of the program; a program without presets has one, named as itself."""
        field = cls.model_fields.get("task", cls.model_fields["program"])
        return tuple(get_args(field.annotation))

    @classmethod
    def defaults(cls, task: str = "") -> dict[str, Canonical]:
        """Return the program's defaults as far as they are known, for a task (its default one if empty)."""
        known = {name: cls.model_fields[name].default for name in cls.names()}
        known |= task_defaults(task or cls.preset())
        return {name: value for name, value in known.items() if value is not None and name in cls.model_fields}

    @classmethod
    def preset(cls) -> str:
        """Return the task that runs when none is named."""
        field = cls.model_fields.get("task", cls.model_fields["program"])
        return str(field.default)

    @classmethod
    def default_text(cls, name: str) -> str:
        """Say in words what the program does when an option without fixed default is left empty."""
        by_task = {task: cls.defaults(task).get(name) for task in cls.task_names()}
        values = {value for value in by_task.values() if value is not None}
        if not values:
            return "the program's own way"
        if len(values) == 1 and None not in by_task.values():
            return _text(values.pop())
        return ", ".join(f"{_text(value)} for {task}" for task, value in by_task.items() if value is not None)

    def changed(self) -> dict[str, Canonical]:
        """Return the options that differ from what the program would do by itself, for the task chosen.

        Equal meaning gives equal dictionaries: an explicit default is dropped, and
        every value has one spelling. The order is that of the form.
        """
        defaults = self._own_defaults()
        return {name: value for name, value in self._given().items() if value != defaults.get(name)}

    def explicit(self) -> dict[str, Canonical]:
        """Return all options that are given or whose default is known: what `changed` leaves out is said, too."""
        values = {**self._own_defaults(), **self._given()}
        return {name: values[name] for name in self.names() if name in values}

    def _given(self) -> dict[str, Canonical]:
        values: dict[str, Canonical] = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in values.items() if value is not None}

    def _own_defaults(self) -> dict[str, Canonical]:
        """Return the defaults for the task and the matrix chosen."""
        defaults = self.defaults(str(getattr(self, "task", "")))
        if getattr(self, "matrix", None) not in {None, defaults.get("matrix")}:
            defaults = {name: value for name, value in defaults.items() if name not in MATRIX_DEPENDENT}
        return defaults

    def deciding(self) -> dict[str, Canonical]:
        """Return those changed options that can change the result of a search, for its key."""
        return {name: value for name, value in self.changed().items() if self.option(name).decides}

    def named(self) -> dict[str, str]:
        """Return the options for which `arguments` needs a path, with their value: a name, an id, or ``"true"``."""
        values = {name: getattr(self, name) for name in self.names() if self.option(name).form is Form.NAMED}
        return {name: _text(value) for name, value in values.items() if value}

    def arguments(self, paths: Mapping[str, str] | None = None) -> list[str]:
        """Return the argument list, without program, query, database and output.

        Options that cannot change a result are left out: what is searched once
        serves all of them.

        Args:
            paths: For each option in `named`, the path to write.

        Raises:
            KeyError: a path is missing.
        """
        arguments = []
        needed = self.named()
        values = {**dict.fromkeys(needed), **self.deciding()}
        for name in (name for name in self.names() if name in values):
            match self.option(name).form:
                case Form.FLAG:
                    arguments += [f"-{name}"]
                case Form.NAMED:
                    arguments += [f"-{name}", (paths or {})[name]]
                case Form.VALUE:
                    arguments += [f"-{name}", _text(values[name])]
        return arguments


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
