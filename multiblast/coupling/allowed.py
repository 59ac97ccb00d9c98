"""References that users name for others to fetch: only to places that the policy lists, and never further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from multiblast.coupling.downloads import open_url
from multiblast.coupling.reference import WEB, Reference
from multiblast.errors import InvalidInputError, NotAllowedError, ObjectMissingError, Problem
from multiblast.network import is_public
from multiblast.stores import open_store
from multiblast.stores.base import chunks

REALLY = " -> "
"""What stands in an allowed place between how people name it and where it really is."""


def check_allowed(reference: Reference, allowed: Sequence[str], key: str = "query_file") -> None:
    """Raise an `InvalidInputError` about the field ``key`` unless a reference is below one of the allowed URLs."""
    if not any(_is_below(reference.url, place) for place, _ in _pairs(allowed)):
        listed = f", only those below {', '.join(place for place, _ in _pairs(allowed))}" if allowed else ""
        remedy = "fetch the file yourself, or have its place listed in policy.references"
        raise InvalidInputError(Problem(f"{reference.url!r} may not be fetched here{listed}: {remedy}", key))


@contextmanager
def brought(
    reference: Reference, allowed: Sequence[str], limit_bytes: int = 0, key: str = "query_file"
) -> Iterator[Path]:
    """Get a file that a user names, for as long as the block runs.

    Args:
        reference: Its URL.
        allowed: The beginnings of URLs that may be fetched: see `Policy.references`.
        limit_bytes: How large it may be; 0 is no limit.
        key: The field at fault.

    Raises:
        InvalidInputError: it may not be fetched, is not there or too large.
        StoreError: its place cannot be reached.
    """
    check_allowed(reference, allowed, key)
    with NamedTemporaryFile(suffix=".fasta") as file:
        try:
            with _opened(reference, allowed, key) as stream:
                for piece in chunks(stream):
                    file.write(piece)
                    if limit_bytes and file.tell() > limit_bytes:
                        raise InvalidInputError(Problem(f"{reference.url!r} is larger than {limit_bytes:,} bytes", key))
        except ObjectMissingError as error:
            raise InvalidInputError(Problem(f"there is nothing at {reference.url!r}", key)) from error
        except NotAllowedError as error:
            raise InvalidInputError(Problem(f"{reference.url!r} may not be fetched: {error}", key)) from error
        file.flush()
        yield Path(file.name)


def _opened(reference: Reference, allowed: Sequence[str], key: str) -> BinaryIO:
    reference = _really(reference, allowed, key)
    places = [place for pair in _pairs(allowed) for place in pair if place]
    if reference.scheme not in WEB:
        url, name = reference.place
        return open_store(url).open(name)

    def check(url: str) -> Callable[[str], None]:
        if not any(_is_below(url, place) for place in places):  # where places really are, nobody needs to know
            raise NotAllowedError("its server redirects to a place that is not listed in policy.references")
        is_listed = any(urlsplit(place).netloc and _is_below(url, place) for place in places)
        return lambda address: _check_address(address, is_listed=is_listed)

    return open_url(reference.url, check)


def _pairs(allowed: Sequence[str]) -> list[tuple[str, str]]:
    """Return each allowed place as people name it, and where it really is; empty if it is there."""
    return [(place, real) for place, _, real in (one.partition(REALLY) for one in allowed)]


def _really(reference: Reference, allowed: Sequence[str], key: str) -> Reference:
    """Return where the file really is that a reference names, by the longest of the places that it is below."""
    below = [(place, real) for place, real in _pairs(allowed) if real and _is_below(reference.url, place)]
    if not below:
        return reference
    place, real = max(below, key=lambda pair: len(pair[0]))
    rest = reference.url[len(place.rstrip("/")) :]
    return replace(Reference.parse(f"{real.rstrip('/')}{rest}", key), name=reference.name)


def _check_address(address: str, *, is_listed: bool) -> None:
    if not is_listed and not is_public(address):
        raise NotAllowedError(f"{address} is no public address, and its host is not listed in policy.references")


def _is_below(url: str, place: str) -> bool:
    """Return whether a URL is a place's, or below it; of a place without a host, any host's."""
    found, listed = urlsplit(url), urlsplit(place)
    if found.scheme != listed.scheme:
        return False
    path = unquote(found.path)
    if "\\" in path or {".", ".."} & set(path.split("/")):
        return False
    if found.scheme not in WEB and found.query != listed.query:  # in which an endpoint may be named
        return False
    base = listed.path.rstrip("/")
    is_there = found.netloc.lower() == listed.netloc.lower() or not listed.netloc
    return is_there and (found.path == base or found.path.startswith(f"{base}/"))
