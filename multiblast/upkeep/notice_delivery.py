"""Where notices may go: no URL of a user's lets our machines talk to what only they can reach."""

from __future__ import annotations

import hashlib
import hmac
from fnmatch import fnmatchcase
from http.client import HTTPException
from urllib.parse import SplitResult, urlsplit

from multiblast.errors import InvalidInputError, NotAllowedError, Problem, StoreError
from multiblast.network import CheckedConnection, address_of, is_literal, is_public
from multiblast.settings import NoticeRules

_LONGEST_URL = 2000
_TIMEOUT_S = 10
_LONGEST_S = 30.0  # of one delivery, however its receiver answers: runs wait for it
_READ_BYTES = 4096  # of an answer nobody reads


def check_url(url: str, rules: NoticeRules) -> SplitResult:
    """Return the parts of a URL that notices may go to, by its looks; else an `InvalidInputError`.

    `deliver` looks at the address too.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise _bad(url, str(error)) from error
    if not host or parts.scheme not in {"http", "https"} or len(url) > _LONGEST_URL or not url.isascii():
        raise _bad(url, "give an address such as https://example.org/notices")
    if parts.username is not None or parts.password is not None:
        raise _bad(url, "leave name and password out: what is sent is signed")
    if rules.hosts and not any(fnmatchcase(host, allowed) for allowed in rules.hosts):
        raise _bad(url, f"notices go to {', '.join(rules.hosts)} only")
    inside = host == "localhost" or is_literal(host)
    if parts.scheme == "http" and not (inside and (rules.loopback or rules.private)):
        raise _bad(url, "use https")
    if is_literal(host):
        try:
            _check_address(host, rules)
        except NotAllowedError as error:
            raise _bad(url, str(error)) from error
    return parts


def deliver(url: str, body: bytes, headers: dict[str, str], rules: NoticeRules) -> None:
    """Post a body; redirections are not followed.

    Raises:
        InvalidInputError, NotAllowedError: the URL, or the address behind it, is not one that notices may go to.
        StoreError: nobody took it.
    """
    parts = check_url(url, rules)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    connection = CheckedConnection(
        host, port, parts.scheme, lambda address: _check_address(address, rules), timeout_s=_TIMEOUT_S
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with connection.within(_LONGEST_S):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_READ_BYTES)
    except NotAllowedError:
        raise
    except (OSError, HTTPException) as error:
        raise StoreError(f"{parts.netloc} cannot be notified: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - success, in HTTP
        raise StoreError(f"{parts.netloc} answered {answer.status} {answer.reason}")


def signature(secret: str, body: bytes, sent_at: int) -> str:
    """Return ``t=TIME,v1=HEX``, where HEX is the HMAC-SHA256 of ``TIME.BODY``; TIME is in seconds since 1970."""
    mac = hmac.new(secret.encode(), f"{sent_at}.".encode() + body, hashlib.sha256)
    return f"t={sent_at},v1={mac.hexdigest()}"


def _check_address(text: str, rules: NoticeRules) -> None:
    address = address_of(text)
    if address.is_loopback:
        if not rules.loopback:
            raise NotAllowedError(f"{text} is this machine, which the policy does not allow")
    elif not is_public(text) and not rules.private:
        raise NotAllowedError(f"{text} is no public address, and the policy allows no other")


def _bad(url: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(Problem(f"notices cannot go to {url[:200]!r}: {remedy}", "notify"))
