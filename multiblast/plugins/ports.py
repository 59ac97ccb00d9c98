"""The tables ``[inputs]`` and ``[outputs]`` of a plugin: what it takes and makes, port by port."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from multiblast.plugins.kinds import CONTENT_TYPE, DATA_TYPE, UNKNOWN, matches
from multiblast.plugins.parameters import TableModel

PortName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=60)]
_DataType = Annotated[str, StringConstraints(pattern=f"^{DATA_TYPE}$")]
_OutputType = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9-]*(/([a-z][a-z0-9-]*|\{[A-Za-z0-9_]+\}))?)$")
]
_ContentType = Annotated[str, StringConstraints(pattern=f"^{CONTENT_TYPE}$")]


class Input(TableModel):
    """What a plugin takes at one port.

    Attributes:
        data: What it means, such as ``sequences/protein``: see `multiblast.plugins.kinds`.
        content: How it may be written.
        required: Whether it has to be given.
        many: Whether any number of files is taken, in order.
        label: What a person reads before its field.
        help: What a person reads about it.
    """

    data: _DataType = "*"
    content: tuple[_ContentType, ...] = ("*",)
    required: bool = True
    many: bool = False
    label: str = ""
    help: str = ""

    def takes(self, data: str, content: str) -> bool:
        """Return whether something fits by its types; what is not known of it fits."""
        is_fit = content == UNKNOWN or any(matches(content, one) for one in self.content)
        return is_fit and (data == "*" or matches(data, self.data))


class Output(TableModel):
    """What a plugin makes at one port.

    Attributes:
        data: What it means; ``alignment/{sequences}`` has the sub-type of what came in at the port ``sequences``.
        content: How it is written.
        required: Whether a run that does not make it has failed. One that is not required may be left out or empty.
        label: What a person reads before it.
        help: What a person reads about it.
        edam: The EDAM format that this is, such as ``format_1929``.
        many: Whether any number of files is made, each of which the plugin names by an event.
    """

    data: _OutputType
    content: _ContentType
    required: bool = True
    label: str = ""
    help: str = ""
    edam: Annotated[str, StringConstraints(pattern=r"^(format_[0-9]{4})?$")] = ""
    many: bool = False
