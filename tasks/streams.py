"""Where a person finds an object of the store."""

from __future__ import annotations

from blocks.services import services

__all__ = ["place_of", "shown_place"]

_LINK_S = 24 * 3600


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
