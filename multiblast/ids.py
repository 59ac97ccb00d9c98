"""Ids: canonical, type-tagged hashing, 32 hexadecimal digits each.

Two values get the same digest exactly if they are equal and of the same type,
whatever the order of a mapping's keys. The encoding is prefix-free: every
value starts with its type tag and, where its length varies, its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ID_LENGTH", "Canonical", "digest", "is_id"]

ID_LENGTH = 32


Canonical = None | bool | int | float | str | bytes | Sequence["Canonical"] | Mapping[str, "Canonical"]


def digest(tag: str, value: Canonical) -> str:
    """Return the id of ``value`` among things of kind ``tag``.

    Args:
        tag: What is being identified, with its schema version, e.g. ``"result/1"``.
        value: Nested plain data; mappings need string keys.

    Returns:
        32 lower-case hexadecimal digits (BLAKE2b, 128 bits).
    """
    hasher = hashlib.blake2b(digest_size=ID_LENGTH // 2)
    for part in _encode((tag, value)):
        hasher.update(part)
    return hasher.hexdigest()


def is_id(text: str) -> bool:
    """Tell whether ``text`` has the form of an id."""
    return len(text) == ID_LENGTH and all(c in "0123456789abcdef" for c in text)


def _encode(value: Canonical) -> Iterator[bytes]:  # noqa: C901 - one case a type
    if value is None:
        yield b"n"
    elif isinstance(value, bool):  # before int: bool is an int
        yield b"b1" if value else b"b0"
    elif isinstance(value, int):
        yield b"i%d;" % value
    elif isinstance(value, float):
        yield b"f" + repr(value).encode() + b";"
    elif isinstance(value, str):
        data = value.encode()
        yield b"s%d:" % len(data)
        yield data
    elif isinstance(value, bytes):
        yield b"y%d:" % len(value)
        yield value
    elif isinstance(value, Mapping):
        yield b"d%d:" % len(value)
        for key in sorted(value):
            yield from _encode(key)
            yield from _encode(value[key])
    elif isinstance(value, Sequence):
        yield b"l%d:" % len(value)
        for item in value:
            yield from _encode(item)
    else:
        message = f"cannot hash a {type(value).__name__}: only plain data has an id"
        raise TypeError(message)
