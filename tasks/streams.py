"""Files made for one person who asked: they are swept a day later."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from blocks.services import services

__all__ = ["export"]


def export(name: str, content: BinaryIO | Callable[[BinaryIO], object]) -> str:
    """Store a stream, or what a function writes, under ``exports/``; return where a person finds it."""
    store, key = services().store, f"exports/{name}"
    if not callable(content):
        store.put(key, content)
        return store.locate(key)
    with TemporaryFile() as file:
        content(cast("BinaryIO", file))
        file.seek(0)
        store.put(key, cast("BinaryIO", file))
    return store.locate(key)
