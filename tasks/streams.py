"""Files for a person: made because one asked, and swept a day later; and where to find them."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from blocks.services import services

__all__ = ["export", "place_of", "shown_place"]

_LINK_S = 24 * 3600


def export(name: str, content: BinaryIO | Callable[[BinaryIO], object]) -> str:
    """Store a stream, or what a function writes, under ``exports/``; return where a person finds it."""
    store, key = services().store, f"exports/{name}"
    if not callable(content):
        store.put(key, content)
        return place_of(key)
    with TemporaryFile() as file:
        content(cast("BinaryIO", file))
        file.seek(0)
        store.put(key, cast("BinaryIO", file))
    return place_of(key)


def place_of(key: str, name: str = "") -> str:
    """Return where a person finds an object: a link to download it by that works for a day, or its path.

    Args:
        key: The object.
        name: What a download is called; by default the key's last word.
    """
    store = services().store
    return store.presign(key, _LINK_S, name) or store.locate(key)


def shown_place(key: str, name: str) -> str:
    """Return the same for a page in Markdown."""
    place = place_of(key, name)
    return f"[download, for a day]({place})" if place.startswith("http") else f"`{place}`"
