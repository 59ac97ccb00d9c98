"""What can be said about one option beside its type: spelling, form on the command line, relations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import CoreSchema

__all__ = ["Form", "MayBeUnset", "Option"]


class Form(StrEnum):
    """How an option is written on the command line."""

    VALUE = "value"  # -evalue 10
    FLAG = "flag"  # -ungapped
    NAMED = "named"  # -rpsdb PATH: the value is a name or a wish, the path comes from the caller


@dataclass(frozen=True, slots=True)
class Option:
    """What a declaration says about an option that its type cannot.

    Attributes:
        config: Its spelling in a Multi-Blast ``blastConfig``; empty if that has none.
        form: How it is written on the command line.
        decides: Whether it can change which alignments are found, or their statistics.
        excludes: Options it cannot stand together with.
        requires: Options it makes no sense without.
    """

    config: str = ""
    form: Form = Form.VALUE
    decides: bool = True
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


class MayBeUnset:
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
