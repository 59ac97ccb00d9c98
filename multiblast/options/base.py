"""What the options of all programs have in common: defaults, canonical form, argument list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from multiblast.errors import InvalidInputError, Problem
from multiblast.ids import Canonical
from multiblast.molecules import DatabaseKind, Molecule
from multiblast.options.option import Form, Option
from multiblast.options.rules import contradictions
from multiblast.options.values import number


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Write in each form what an empty input means, and keep the order of the fields."""
    for position, (name, field) in enumerate(schema["properties"].items()):
        field["position"] = position
        field.setdefault("description", "The program these options are for.")
        if issubclass(model, Options) and field.get("default", "") is None:
            del field["default"]
            if "Empty:" not in field["description"]:
                field["description"] += f" Empty: {model.default_text(name)}."


class Options(BaseModel):
    """The options of one program, under BLAST+'s names; an unset one without fixed default is ``None``."""

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
    declared: ClassVar[Mapping[str, Option]]
    """What is declared about each option, in the order of the form."""

    program: str

    def value(self, name: str) -> Any:
        """Return the value of an option; ``None`` if it is unset, or the program does not have it."""
        return getattr(self, name) if name in self.declared else None

    @property
    def chosen_task(self) -> str:
        """The task chosen; empty for a program without tasks."""
        return self.value("task") or ""

    @property
    def profile(self) -> str:
        """The PSSM that takes the place of a query: its text, store key, path or id; empty if there is none."""
        return self.value("in_pssm") or ""

    @property
    def keeps_case(self) -> bool:
        """Whether lower-case letters of a query count as masked, so that its case is part of what is searched."""
        return bool(self.value("lcase_masking"))

    @property
    def reads_titles(self) -> bool:
        """Whether ids such as ``sp|P12345|NAME`` are read from the titles of queries."""
        return bool(self.value("parse_deflines"))

    @property
    def most_targets(self) -> int:
        """How many database sequences are kept per query."""
        return int(self.value("max_target_seqs"))

    @property
    def most_rounds(self) -> int:
        """How many rounds there are at most, each with the profile of the one before; 0 for no limit."""
        return 1 if (most := self.value("num_iterations")) is None else int(most)

    @property
    def part(self) -> tuple[int, int] | None:
        """First and last letter, 0-based, of the part of each query that is searched; None for the whole."""
        first, _, last = (self.value("query_loc") or "").partition("-")
        return (int(first) - 1, int(last) - 1) if first else None

    @property
    def strands(self) -> str:
        """Which strands of queries are searched: ``both``, ``plus`` or ``minus``; ``both`` of proteins, too."""
        return str(self.value("strand") or "both")

    def leaves_out(self, length: int) -> bool:
        """Whether BLAST+ passes a query of this length over, since it ends before the part to search begins."""
        # One that ends just there BLAST+ takes, and finds nothing left to search.
        return self.part is not None and length < self.part[0]

    @property
    def megablast_index(self) -> str | None:
        """The name of the MegaBLAST index that is used; empty for the database's own, ``None`` for no index."""
        return self.value("index_name") if self.value("use_index") else None

    @field_validator("*", mode="before")
    @classmethod
    def _read_number(cls, value: Any, info: ValidationInfo) -> Any:
        option = cls.declared.get(info.field_name or "")
        return number(value) if option and option.is_number else value

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if problems := self.contradictions():
            raise InvalidInputError(problems)
        return self

    def contradictions(self) -> list[Problem]:
        """Return every contradiction among options whose values are right by themselves."""
        return contradictions(self)

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Absent means unset, so that what is written fits the schema that forms use."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def task_names(cls) -> tuple[str, ...]:
        """Return the presets, the default one first; a program without presets has one, named as itself."""
        field = cls.model_fields.get("task", cls.model_fields["program"])
        return tuple(get_args(field.annotation))

    @classmethod
    def defaults(cls, task: str = "") -> dict[str, Canonical]:
        """Return the program's defaults as far as they are known, for a task (its default one if empty)."""
        program, task = str(cls.model_fields["program"].default), task or cls.task_names()[0]
        known = {name: option.default_in(program, task) for name, option in cls.declared.items()}
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def default_text(cls, name: str) -> str:
        """Return in words what the program does when an option without fixed default is left empty."""
        by_value: dict[Canonical, list[str]] = {}
        for task in cls.task_names():
            by_value.setdefault(cls.defaults(task).get(name), []).append(task)
        unknown = by_value.pop(None, [])
        if not by_value:
            return "the program's own way"
        if len(by_value) == 1 and not unknown:
            return _text(*by_value)
        texts = [f"{_text(value)} for {', '.join(tasks)}" for value, tasks in by_value.items()]
        return "; ".join([*texts, *([f"the program's own way for {', '.join(unknown)}"] if unknown else [])])

    def changed(self) -> dict[str, Canonical]:
        """Return the options that differ from what the program would do by itself, for the task chosen.

        Equal meaning gives equal dictionaries: an explicit default is dropped, unless another option works with it
        only if it is given, and every value has one spelling.
        """
        defaults, given = self._own_defaults(), self._given()
        changed = {name for name, value in given.items() if value != defaults.get(name)}
        changed |= {needed for name in changed for needed in self.declared[name].requires}
        return {name: value for name, value in given.items() if name in changed}

    def explicit(self) -> dict[str, Canonical]:
        """Return all options that are given or whose default is known: also what `changed` leaves out."""
        values = {**self._own_defaults(), **self._given()}
        return {name: values[name] for name in self.declared if name in values}

    def _given(self) -> dict[str, Canonical]:
        values: dict[str, Canonical] = {name: getattr(self, name) for name in self.declared}
        return {name: value for name, value in values.items() if value is not None}

    def _own_defaults(self) -> dict[str, Canonical]:
        """Return the defaults for the task and the matrix chosen."""
        defaults = self.defaults(self.chosen_task)
        if self.value("matrix") not in {None, defaults.get("matrix")}:
            defaults = {name: value for name, value in defaults.items() if not self.declared[name].follows_matrix}
        return defaults

    @classmethod
    def declared_in(cls, version: str) -> dict[str, Option]:
        """Return what is declared about each option that a version of BLAST+ has; without a version, about all."""
        program = str(cls.model_fields["program"].default)
        return {name: one for name, one in cls.declared.items() if not version or one.is_in(program, version)}

    def missing_in(self, version: str) -> Iterator[Problem]:
        """Yield the given options that a version of BLAST+ does not have."""
        there = self.declared_in(version)
        for name in self.changed():
            if name not in there:
                had = self.declared[name].versions(self.program)
                yield Problem(f"{self.program} has it only {had}; {version} is installed: leave it out", name)

    def deciding(self) -> dict[str, Canonical]:
        """Return those changed options that can change the result of a search, for its key."""
        return {name: value for name, value in self.changed().items() if self.declared[name].decides_result}

    def named(self) -> dict[str, str]:
        """Return the options for which `arguments` needs a path, with their value: a name, an id, or ``"true"``."""
        values = {name: getattr(self, name) for name, option in self.declared.items() if option.form is Form.NAMED}
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
        values = {**dict.fromkeys(self.named()), **self.deciding()}
        for name, option in self.declared.items():
            if name in values:
                arguments.append(f"-{name}")
                if option.form is not Form.FLAG:
                    arguments.append((paths or {})[name] if option.form is Form.NAMED else _text(values[name]))
        return arguments


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:  # beyond, floats skip whole numbers
        return str(int(value))
    return str(value)
