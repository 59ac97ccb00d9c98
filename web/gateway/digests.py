"""Digests in headers: RFC 9530's, and those of tus."""

from __future__ import annotations

import base64
import binascii
import re

from web.errors import HttpError

_SHA256_BYTES = 32
_FIELD = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_HEX = re.compile(r"[0-9a-f]{64}")


def digest_field(sha256: str) -> str:
    """Return a SHA-256, in hexadecimal digits, as the value of ``Repr-Digest`` or ``Content-Digest``."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def read_digest_field(text: str) -> str:
    """Return the SHA-256 that a header's value gives.

    Raises:
        HttpError: it gives none.
    """
    found = _FIELD.search(text)
    if not found:
        raise HttpError("bad-request", "the header Content-Digest is to be sha-256=:BASE64: of the body")
    return base64.b64decode(found[1]).hex()


def read_checksum(text: str) -> str:
    """Return the SHA-256 of ``Upload-Checksum``; empty if there is none.

    Raises:
        HttpError: it is of another kind.
    """
    if not text:
        return ""
    kind, _, value = text.partition(" ")
    try:
        found = base64.b64decode(value, validate=True)
    except binascii.Error:
        found = b""
    if kind != "sha256" or len(found) != _SHA256_BYTES:
        raise HttpError("bad-request", "Upload-Checksum is to be: sha256 BASE64")
    return found.hex()


def read_metadata(text: str) -> dict[str, str]:
    """Return what ``Upload-Metadata`` says: names, and values in base 64.

    Raises:
        HttpError: it lacks ``key`` or ``sha256``, or is not well formed.
    """
    try:
        pairs = (item.split() for item in text.split(","))
        said = {pair[0]: base64.b64decode("".join(pair[1:2]), validate=True).decode() for pair in pairs if pair}
    except (binascii.Error, UnicodeDecodeError):
        said = {}
    if not said.get("key") or not _HEX.fullmatch(said.get("sha256", "")):
        wanted = "key, and sha256 in hexadecimal digits, each in base 64"
        raise HttpError("bad-request", f"the header Upload-Metadata is to give {wanted}")
    return said
