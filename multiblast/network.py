"""Connections to addresses that were looked at, so that no URL of a user's leads to what only this machine reaches."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Timer
from urllib.parse import urlsplit


class CheckedConnection(HTTPConnection):
    """A connection to an address that was looked at, whatever the name may mean a moment later.

    ``check`` gets the numeric address, and raises an error unless it may be connected to.
    """

    def __init__(self, host: str, port: int, scheme: str, check: Callable[[str], None], timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._scheme = scheme
        self._check = check
        self._timeout_s = timeout_s
        self._wire: socket.socket | None = None  # `sock` is given up as soon as an answer may be the last
        self._is_late = False

    def connect(self) -> None:
        """Resolve the name, check the address, and connect to just that."""
        family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        self._check(str(address[0]))
        self.sock = self._wire = socket.socket(family, kind, protocol)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(address)
        if self._scheme == "https":
            context = ssl.create_default_context()
            # Known before anything is read over it, so that it can be cut.
            tls = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._wire = tls
            tls.do_handshake()
        if self._is_late:
            raise TimeoutError

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what is done over the connection in the block take no longer: a time-out starts anew with every byte.

        Raises:
            TimeoutError: it did; the connection is cut.
        """
        self._is_late = False
        timer = Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, HTTPException):
            if not self._is_late:
                raise
        finally:
            timer.cancel()
        if self._is_late:  # or what was cut looks like the end
            raise TimeoutError(f"it did not end within {seconds:,.0f} s")

    def _cut(self) -> None:
        self._is_late = True
        if self._wire is not None:
            with suppress(OSError):  # not connected yet, or no more
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)  # below TLS, which another thread reads


def address_of(text: str) -> IPv4Address | IPv6Address:
    """Return a numeric address; of one of IPv4 that is written as of IPv6, the former."""
    address = ip_address(text.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_public(text: str) -> bool:
    """Return whether a numeric address is one of the Internet's, and of one machine."""
    address = address_of(text)
    return address.is_global and not address.is_multicast


def host_of(url: str) -> str:
    """Return the host that a URL names, in lower case; empty if it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_literal(host: str) -> bool:
    """Return whether a host is named by its numeric address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
