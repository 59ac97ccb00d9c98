"""What a person chooses for a plugin: its parameters, as its table describes them, and values as these check them."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from multiblast.errors import InvalidInputError, Problem


class TableModel(BaseModel):
    """Base of all tables: no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(TableModel):
    """A value that a person chooses.

    Attributes:
        type: ``choice`` is one of ``choices``; a ``secret`` names a Secret block that begins with ``plugin-NAME-``,
            whose text only the run sees.
        choices: What may be chosen.
        default: What holds where nothing is given. Without one, a value has to be given.
        pattern: The regular expression that a text must match as a whole.
        lines: Whether a text may have several lines, and begin as it likes; such a text gets into no command.
        least: The least number.
        most: The greatest number.
        label: What a person reads before its field.
        help: What a person reads about it.
        private: Whether the value is kept out of pages, logs and the registry.
    """

    type: Literal["text", "integer", "number", "flag", "choice", "secret"] = "text"
    choices: tuple[str, ...] = ()
    default: str | bool | int | float | None = None
    pattern: str = ""
    lines: bool = False
    least: float | None = None
    most: float | None = None
    label: str = ""
    help: str = ""
    private: bool = False

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None

    @property
    def is_private(self) -> bool:
        """Whether nobody is to see the value."""
        return self.private or self.type == "secret"

    def checked(self, value: Any, key: str) -> str | bool | int | float:
        """Return a given value as its type; an `InvalidInputError` about the field ``key`` if it cannot be one."""
        try:
            return self._read(value)
        except ValueError as error:
            raise InvalidInputError(Problem(str(error), key)) from error

    def _read(self, value: Any) -> str | bool | int | float:
        if self.type == "flag":
            return _read_flag(value)
        if self.type in {"integer", "number"}:
            return self._read_number(value)
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is no text")  # noqa: TRY004 - bad input, whatever its type
        if self.type == "choice" and value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"{value!r} does not match {self.pattern}")
        if self.lines:
            if not "".join(value.split()).isprintable():
                raise ValueError(f"{value[:200]!r} has characters that cannot be printed: use others")
            return value
        if value.startswith("-") or not value.isprintable():
            raise ValueError(f"{value!r} begins with a hyphen or has characters that cannot be printed: use others")
        return value

    def _read_number(self, value: Any) -> int | float:
        try:
            if isinstance(value, bool):
                raise ValueError  # noqa: TRY301, TRY004 - one way out
            number: int | float = float(value)
            if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124 - not a number
                raise ValueError  # noqa: TRY301
            if self.type == "integer":
                if number != int(number):
                    raise ValueError  # noqa: TRY301
                number = int(value)
        except (TypeError, ValueError, OverflowError):
            kind = "a whole number" if self.type == "integer" else "a number"
            raise ValueError(f"{value!r} is not {kind}") from None
        if (self.least is not None and number < self.least) or (self.most is not None and number > self.most):
            low = "" if self.least is None else f" from {self.least:g}"
            high = "" if self.most is None else f" up to {self.most:g}"
            raise ValueError(f"{value} is not allowed: give a number{low}{high}")
        return number

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.type == "choice") != bool(self.choices):
            wrong = "a choice needs choices" if self.type == "choice" else 'choices are for type = "choice" alone'
            raise ValueError(wrong)
        if self.pattern:
            check_pattern(self.pattern)
        if self.lines and self.type != "text":
            raise ValueError("lines is for type 'text'")
        if self.type == "secret" and self.default not in {None, ""}:
            raise ValueError("a secret has no default")
        if self.default is not None and self.default != "":
            object.__setattr__(self, "default", self._read(self.default))
        return self


def check_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression; a ``ValueError`` says what is wrong with it."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError(f"{value!r} is neither true nor false")
    return words[str(value).lower()]
