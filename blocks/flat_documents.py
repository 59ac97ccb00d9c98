"""Block documents saved before blocks held settings models or a URL: their fields lay flat beside each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

Move: TypeAlias = Callable[[Any], Any]
"""Returns what a block is made of, with flat values moved to where the block now has them."""


def nested(field: str, places: Mapping[str, str]) -> Move:
    """Return what moves flat values into the model that the block now holds in ``field``.

    Places are, for each flat name, the dotted path of its value in the model.
    """

    def model(values: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name in places.keys() & values.keys():
            *parents, last = places[name].split(".")
            inner = made
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = values[name]
        return made

    return _moved(field, places, model)


def one_place(field: str, directory: str) -> Move:
    """Return what makes one ``field`` of the two in which a place was before: ``s3_bucket``, else a directory."""

    def place(values: Mapping[str, Any]) -> str:
        bucket = values.get("s3_bucket")
        return f"block:s3-bucket/{bucket}" if bucket else values.get(directory, "")

    return _moved(field, {directory, "s3_bucket"}, place)


def _moved(field: str, flat: Collection[str], value: Callable[[Mapping[str, Any]], Any]) -> Move:
    def move(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kept = {name: given for name, given in values.items() if name not in flat}
        # A value that is there alone counts: Prefect keeps the flat ones of a document that is saved anew.
        return kept if field in kept or len(kept) == len(values) else {**kept, field: value(values)}

    return move
