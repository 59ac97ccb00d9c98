"""Outputs of plugin jobs in the store, as the jobs' rows have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from multiblast.coupling.trees import MANIFEST


def object_of(output: Mapping[str, Any]) -> str:
    """Return the key of the object without which an output is not there: the file, or a directory's manifest."""
    return f"{output['key']}/{MANIFEST}" if output["directory"] else str(output["key"])


def belongs_to(key: str, output: Mapping[str, Any]) -> bool:
    """Return whether an object is an output, or a part of one that is a directory."""
    return key == output["key"] or (output["directory"] and key.startswith(f"{output['key']}/"))


def outputs_digest(outputs: Iterable[Mapping[str, Any]]) -> str:
    """Return the SHA-256 over all outputs; empty if there are none."""
    words = [f"{output['port']} {output['name']} {output['sha256']}" for output in outputs]
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest() if words else ""
