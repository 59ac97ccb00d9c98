"""What is declared about one option: everything that the rest of multiblast knows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import Field

from multiblast.blast_versions import version_numbers
from multiblast.ids import Canonical

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import CoreSchema

NOWHERE: frozenset[str] = frozenset()
"""The safe choice for ``independent_in``: a search with the option runs one query at a time."""


class Form(StrEnum):
    """How an option is written on the command line."""

    VALUE = "value"  # -evalue 10
    FLAG = "flag"  # -ungapped
    NAMED = "named"  # -rpsdb PATH: the value is a name or a wish, the path comes from the caller


@dataclass(frozen=True, slots=True)
class Option:
    """One option of BLAST+ as one or several programs have it.

    An option that differs between programs in its type or help is declared once for each kind of it.

    Attributes:
        name: BLAST+'s name, without the hyphen.
        config: Its spelling in a ``blastConfig``.
        help: What the form shows below the input, in plain English.
        kind: Type, range or choices, and how other spellings are read, as pydantic writes them.
        default: What the program's own help names; ``None`` if it names none.
        programs: The programs that have it.
        independent_in: Programs in which a result stays independent of its batch-mates when this option is changed,
            as the integration tests show; `NOWHERE` until they do. See `multiblast.options.independence`.
        form: How it is written on the command line.
        by_program: Defaults of programs whose help names another one.
        by_task: What a task (a program without tasks is its own) uses where the option is not given and the help
            names no default. Source: BLAST+ 2.12.0; the integration tests show that giving it changes nothing.
            Without one, a value counts as a change whatever it is.
        follows_matrix: Whether the default of the task holds for its usual matrix only.
        decides_result: Whether it can change which alignments are found, or their statistics. Otherwise it only
            matters for reports, and is not given to the search.
        changes_size: Whether the databases count with it as another size than they have, so that what is independent
            by their size no longer is.
        needs_own_process: Whether it reads or writes one file, so that a process can search one query only.
        needs_one_thread: Whether BLAST+ can find something else with several threads; what it finds with one, its
            default, is right.
        excludes: Options it cannot be given with.
        requires: Options it makes no sense without.
        since: The first version of BLAST+ that has it, such as ``2.16.0``; empty: all that are supported.
        until: The first version of a program that no longer has it; none for a program that does not stand here.
    """

    name: str
    config: str
    help: str
    kind: Any
    default: Canonical = field(default=None, kw_only=True)
    programs: Collection[str] = field(kw_only=True)
    independent_in: Collection[str] = field(kw_only=True)
    form: Form = Form.VALUE
    by_program: Mapping[str, Canonical] = field(default_factory=dict)
    by_task: Mapping[str, Canonical] = field(default_factory=dict)
    follows_matrix: bool = False
    decides_result: bool = True
    changes_size: bool = False
    needs_own_process: bool = False
    needs_one_thread: bool = False
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    since: str = ""
    until: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, perhaps a choice of some."""
        kind = get_args(self.kind)[0] if get_origin(self.kind) is Annotated else self.kind
        return kind in {int, float} or isinstance(next(iter(get_args(kind)), None), int)

    def is_in(self, program: str, version: str) -> bool:
        """Return whether a version of a program that has the option, such as ``2.12.0+``, has it already and still."""
        number, until = version_numbers(version), self.until.get(program)
        return version_numbers(self.since) <= number and (until is None or number < version_numbers(until))

    def versions(self, program: str) -> str:
        """Return in words which versions of a program have it; empty if all that are supported do."""
        since, until = self.since, self.until.get(program)
        words = [f"since BLAST+ {since}" if since else "", f"before BLAST+ {until}" if until else ""]
        return ", ".join(word for word in words if word)

    def default_in(self, program: str, task: str = "") -> Canonical:
        """Return what a program uses by itself, ``None`` if that is not known; without a task, what its help names."""
        return self.by_task.get(task, self.by_program.get(program, self.default))

    def pydantic_field(self, program: str) -> tuple[Any, Any]:
        """Return the field that a model of a program has for this option."""
        default = self.default_in(program)
        text = self.help + (f" Only {versions}." if (versions := self.versions(program)) else "")
        kind = Annotated[self.kind | None, _Unset()] if default is None else self.kind
        return kind, Field(default=default, description=text)


def flag(name: str, config: str, text: str, **more: Any) -> Option:
    """Declare an option that is written without a value."""
    return Option(name, config, text, bool, default=False, form=Form.FLAG, **more)


class _Unset:
    """Leaves ``null`` out of the JSON schema of an optional value.

    A form then shows a plain, empty input in place of a choice between two
    types; what is left empty is absent, and absent is ``None``.
    """

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Reduce ``anyOf [X, null]`` to ``X``."""
        schema: dict[str, Any] = handler(core_schema)
        for kind in schema.pop("anyOf", ()):
            if kind != {"type": "null"}:
                schema = {**kind, **schema}
        return schema
