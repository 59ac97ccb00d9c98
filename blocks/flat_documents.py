"""Block documents saved before blocks held settings models: their fields lay flat beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(values: Any, field: str, places: Mapping[str, str]) -> Any:
    """Return a block's values with flat ones moved into the model that the block now holds.

    Where there is a model already, it alone counts: Prefect keeps the flat values of a document that is saved anew.

    Args:
        values: What the block is made of.
        field: The block's field that holds the model.
        places: For each flat name the dotted path of its value in the model.
    """
    if not isinstance(values, dict):
        return values
    kept = {name: value for name, value in values.items() if name not in places}
    if field in kept or len(kept) == len(values):
        return kept
    model: dict[str, Any] = {}
    for name, path in places.items():
        if name in values:
            *parents, last = path.split(".")
            inner = model
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = values[name]
    return {**kept, field: model}


def one_place(values: Any, field: str, directory: str) -> Any:
    """Return a block's values with a place in one field, which was the field ``directory`` or ``s3_bucket`` before.

    Args:
        values: What the block is made of.
        field: The block's field of the place.
        directory: The field of the form before that was used if ``s3_bucket`` was empty.
    """
    if not isinstance(values, dict):
        return values
    kept = {name: value for name, value in values.items() if name not in {directory, "s3_bucket"}}
    if field in kept or len(kept) == len(values):
        return kept
    bucket = values.get("s3_bucket")
    return {**kept, field: f"block:s3-bucket/{bucket}" if bucket else values.get(directory, "")}
