"""Ids: canonical, type-tagged hashing, 32 hexadecimal digits each.

Two values get the same digest exactly if they are equal and of the same type,
whatever the order of a mapping's keys. The encoding is prefix-free: every
value starts with its type tag and, where its length varies, its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from io import SEEK_END
from typing import IO

ID_LENGTH = 32
_BLOCK_BYTES = 1 << 20


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
    _encode((tag, value), hasher.update)
    return hasher.hexdigest()


def digests(tag: str, *head: Canonical) -> Callable[[str | bytes], str]:
    """Return what makes ids that differ in their last part alone, in a tenth of the time: see `digest`.

    The function returns for ``last`` what ``digest(tag, [*head, last])`` does; without a head, ``digest(tag, last)``.
    """
    begun = hashlib.blake2b(b"l2:", digest_size=ID_LENGTH // 2)
    _encode(tag, begun.update)
    if head:
        begun.update(b"l%d:" % (len(head) + 1))
    for value in head:
        _encode(value, begun.update)

    def of(last: str | bytes) -> str:
        data = last.encode() if isinstance(last, str) else last
        hasher = begun.copy()
        hasher.update(b"%b%d:" % (b"s" if isinstance(last, str) else b"y", len(data)))
        hasher.update(data)
        return hasher.hexdigest()

    return of


def digest_of_text(tag: str, file: IO[bytes]) -> str:
    """Return what `digest` does for a text, in UTF-8, that is too long for memory."""
    hasher = hashlib.blake2b(b"l2:", digest_size=ID_LENGTH // 2)
    _encode(tag, hasher.update)
    hasher.update(b"s%d:" % file.seek(0, SEEK_END))
    file.seek(0)
    while block := file.read(_BLOCK_BYTES):
        hasher.update(block)
    return hasher.hexdigest()


def is_id(text: str) -> bool:
    """Return whether ``text`` has the form of an id."""
    return len(text) == ID_LENGTH and all(c in "0123456789abcdef" for c in text)


def _encode(value: Canonical, write: Callable[[bytes], object]) -> None:  # noqa: C901 - one case a type
    if isinstance(value, str):
        data = value.encode()
        write(b"s%d:%b" % (len(data), data))
    elif isinstance(value, bytes):
        write(b"y%d:%b" % (len(value), value))
    elif value is None:
        write(b"n")
    elif isinstance(value, bool):  # before int: bool is an int
        write(b"b1" if value else b"b0")
    elif isinstance(value, int):
        write(b"i%d;" % value)
    elif isinstance(value, float):
        write(b"f" + repr(value).encode() + b";")
    elif isinstance(value, Mapping):
        write(b"d%d:" % len(value))
        for key in sorted(value):
            _encode(key, write)
            _encode(value[key], write)
    elif isinstance(value, Sequence):
        write(b"l%d:" % len(value))
        for item in value:
            _encode(item, write)
    else:
        message = f"cannot hash a {type(value).__name__}: only plain data has an id"
        raise TypeError(message)
