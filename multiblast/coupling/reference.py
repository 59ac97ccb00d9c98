"""References: how a file or directory is named, wherever it is."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from multiblast.errors import InvalidInputError, Problem
from multiblast.stores.base import is_key

_FORM = re.compile(r"(?:(store|file|data):|([a-z][a-z0-9+.-]*)://)", re.ASCII)
DIGEST = re.compile("[0-9a-f]{64}")
_LONGEST = 2000  # but of data
WEB = ("https", "http")


@dataclass(frozen=True, slots=True)
class Reference:
    """A file or directory: `parse` reads each form.

    Attributes:
        url: ``store:KEY``, ``file:///PATH``, ``data:…``, or a URL such as ``s3://BUCKET/KEY``.
        sha256: Of the file, or of a directory's manifest (see `multiblast.coupling.trees`); empty if not known.
        size_bytes: Of all its files together; negative if not known.
        name: What a person calls it, and what it is called where it is fetched to.
    """

    url: str
    sha256: str = ""
    size_bytes: int = -1
    is_directory: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what only looks like a digest."""
        if self.sha256 and not DIGEST.fullmatch(self.sha256):
            raise _bad(self.url, "its sha256 is not 64 hexadecimal digits")

    @classmethod
    def parse(cls, text: str, key: str = "reference") -> Reference:
        """Read a reference or a path; ``key`` is the field at fault if there is an `InvalidInputError`."""
        form = _FORM.match(text)
        scheme = (form[1] or form[2]) if form else ""
        if not text.strip() or "\0" in text or (scheme != "data" and len(text) > _LONGEST):
            raise _bad(text, f"write a path or a URL of at most {_LONGEST} characters", key)
        if not scheme:
            try:
                path = Path(text).expanduser().absolute()
            except RuntimeError as error:  # of a user that is not
                raise _bad(text, str(error), key) from error
            return cls(path.as_uri(), name=path.name)
        if scheme == "store":
            if not is_key(text.removeprefix("store:")):
                raise _bad(text, "write store:KEY, of words of letters, digits and '._-' separated by '/'", key)
            return cls(text, name=text.rpartition("/")[2].removeprefix("store:"))
        return _DATA_OR_URL.get(scheme, _of_url)(text, key)

    @property
    def scheme(self) -> str:
        """How its URL begins."""
        return self.url.partition(":")[0]

    @property
    def path(self) -> Path:
        """Where a ``file:`` is."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def data(self) -> bytes:
        """The bytes that a ``data:`` holds."""
        return _data(self.url)

    @property
    def place(self) -> tuple[str, str]:
        """The store that a URL leads to, as `multiblast.stores.open_store` takes it, and the key in it."""
        parts = urlsplit(self.url)
        return parts._replace(path="", fragment="").geturl(), parts.path.strip("/")

    @property
    def file_name(self) -> str:
        """A name for the file or directory that is safe in any directory."""
        return re.sub(r"[^\w. +-]", "_", self.name, flags=re.ASCII).lstrip(".")[-200:] or "data"


def is_url(text: str) -> bool:
    """Return whether a text is meant as a URL, ``data:`` and ``file:`` included, and not as a path or ``store:KEY``."""
    form = _FORM.match(text)
    return form is not None and form[1] != "store"


def _of_file(text: str, key: str) -> Reference:
    parts = urlsplit(text)
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise _bad(text, "write file:///PATH, with %23 for # and %3F for ?", key)
    path = Path(unquote(parts.path))
    return Reference(path.as_uri(), name=path.name)


def _of_data(text: str, key: str) -> Reference:
    try:
        return Reference(text, size_bytes=len(_data(text)), name="data")
    except ValueError as error:
        raise _bad(text, "write data:,TEXT or data:;base64,BYTES", key) from error


def _of_url(text: str, key: str) -> Reference:
    try:
        parts = urlsplit(text)
        password, _ = parts.password, parts.port
    except ValueError as error:
        raise _bad(text, str(error), key) from error
    if password is not None:
        raise _bad(f"{parts.scheme}://…", "leave the password out: references are shown to others", key)
    if not parts.hostname or parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        raise _bad(text, "write SCHEME://PLACE/KEY, quoted as URLs are", key)
    if parts.scheme not in WEB and not is_key(parts.path.strip("/")):
        wanted = "use words of letters, digits and '._-' separated by '/'"
        raise _bad(text, f"{parts.path!r} is no key of an object: {wanted}", key)
    name = parts.path.rstrip("/").rpartition("/")[2]
    return Reference(text, name=unquote(name) if parts.scheme in WEB else name)


_DATA_OR_URL = {"file": _of_file, "data": _of_data}


def _data(url: str) -> bytes:
    head, comma, body = url.removeprefix("data:").partition(",")
    if not comma:
        raise ValueError("no comma")
    data = unquote_to_bytes(body)
    return b64decode(data, validate=True) if head.endswith(";base64") else data


def _bad(text: str, remedy: str, key: str = "reference") -> InvalidInputError:
    return InvalidInputError(Problem(f"{text[:200]!r} is no reference to a file: {remedy}", key))
