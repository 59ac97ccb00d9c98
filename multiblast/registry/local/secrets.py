"""The secrets of a registry: where they are kept, and how they are found in what is about to leave.

Tokens and passwords are kept in a file that only its owner can read. Addresses
are kept, shown, sent and written into configurations without what opens them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from multiblast.errors import StoreError

TOKEN_VARIABLE = "MULTIBLAST_REGISTRY_TOKEN"  # noqa: S105 - the name of a variable, and no token
_OF_THE_ENVIRONMENT = (TOKEN_VARIABLE, "AWS_SECRET_ACCESS_KEY")
# What is shorter stands in many a text by chance; in an address it is found nevertheless.
_SHORTEST = 6
_IN_QUERY = re.compile(r"(?i)(?<=[?&])(password|passwd|pwd|token|secret|sig|signature)=[^&#]*&?")
_PASSWORD = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:'\"]*:[^\s/@'\"$]+@")


class Secrets:
    """Tokens and passwords in a file that only its owner may read; who shares a directory has one of their own."""

    def __init__(self, directory: Path) -> None:
        path = directory / "secrets.json"
        try:
            is_ours = path.stat().st_uid == os.geteuid()
        except OSError:
            is_ours = True
        self._path = path if is_ours else directory / f"secrets.{os.geteuid()}.json"

    def get(self, name: str) -> str:
        """Return a secret; empty if there is none."""
        return self._read().get(name, "")

    def set(self, name: str, secret: str) -> None:
        """Keep a secret; an empty one is forgotten."""
        kept = {**self._read(), name: secret}
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({key: value for key, value in kept.items() if value}, file)
            temporary.replace(self._path)
        except OSError as error:
            raise StoreError(f"cannot keep a secret in {str(self._path)!r}: {error.strerror or error}") from error

    def names(self) -> list[str]:
        """Return what there are secrets of."""
        return list(self._read())

    def all(self) -> list[str]:
        """Return every secret, so that none leaves."""
        return list(self._read().values())

    def _read(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged"
            raise StoreError(f"cannot read the secrets in {str(self._path)!r}: {reason}") from error
        return kept


def split_password(url: str) -> tuple[str, str]:
    """Return a URL without its password, and the password; of an HTTP address the user goes with it."""
    before, at, after = _authority(url)
    user, _, password = before.partition(":")
    if not at or not (password or url.startswith(("http:", "https:"))):
        return url, ""
    scheme = url[: url.index("://") + 3]
    if url.startswith(("http:", "https:")):
        return scheme + after, unquote(before)
    return f"{scheme}{user}@{after}", unquote(password)


def with_password(url: str, password: str) -> str:
    """Return a URL with what `split_password` took from it."""
    if not password:
        return url
    before, at, after = _authority(url)
    scheme = url[: url.index("://") + 3]
    if url.startswith(("http:", "https:")):
        user, _, word = password.partition(":")
        return f"{scheme}{quote(user, safe='')}:{quote(word, safe='')}@{after or before}"
    return f"{scheme}{before if at else ''}:{quote(password, safe='')}@{after}"


def shown(url: str) -> str:
    """Return a URL as anybody may see it."""
    return _IN_QUERY.sub("", split_password(url)[0]).rstrip("?&")


def _authority(url: str) -> tuple[str, str, str]:
    """Return what is before the host's ``@``, that sign, and what follows; without the sign all follows."""
    rest = url.partition("://")[2]
    end = re.search(r"[/?#]", rest)
    authority = rest[: end.start()] if end else rest
    before, at, host = authority.rpartition("@")
    return before, at, host + rest[len(authority) :]


def known_secrets(directory: Path, opening: Iterable[str] = (), urls: Iterable[str] = ()) -> set[str]:
    """Return every secret that this installation knows.

    Args:
        directory: Of the registry whose tokens and passwords they are.
        opening: What opens this and other registries: see `Endpoint.secrets`.
        urls: Addresses that may have passwords in them.
    """
    found = {*Secrets(directory).all(), *opening}
    found |= {os.environ.get(name, "") for name in _OF_THE_ENVIRONMENT}
    found |= {password for url in urls if (password := split_password(url)[1])}
    found |= {part for one in found for part in one.partition(":")[2:] if ":" in one}
    return {form for one in found if len(one) >= _SHORTEST for form in (one, quote(one, safe=""), quote(one))}


class SecretSearch:
    """Finds secrets in what is about to leave."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def in_text(self, text: str) -> bool:
        """Return whether a text has a secret in it."""
        data = text.encode("utf-8", "surrogatepass")
        return any(secret in data for secret in self._secrets)

    def in_file(self, chunks: Iterator[bytes], *, passwords: bool = False) -> bool:
        """Return whether a file has a secret in it; ``passwords``: or any address with a password."""
        overlap = max([256 * passwords, *map(len, self._secrets)], default=0)
        held = b""
        for chunk in chunks:
            data = held + chunk
            if any(secret in data for secret in self._secrets) or (passwords and _PASSWORD.search(data)):
                return True
            held = data[-overlap:] if overlap else b""
        return False


def address_of(url: str) -> str:
    """Return what makes two URLs the same address, whoever opens it."""
    plain = split_password(url)[0].rstrip("/").removesuffix("/api")
    parts = urlsplit(plain)
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl()
