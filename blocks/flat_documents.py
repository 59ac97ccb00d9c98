"""Block documents saved before blocks held settings models: their fields lay flat beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["nested"]


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
