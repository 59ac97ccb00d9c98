"""Connections to addresses that were looked at, so that no URL of a user's leads to what only this machine reaches."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from http.client import HTTPConnection
from ipaddress import IPv4Address, IPv6Address, ip_address


class CheckedConnection(HTTPConnection):
    """A connection to an address that was looked at, whatever the name may mean a moment later.

    ``check`` gets the numeric address, and raises an error unless it may be connected to.
    """

    def __init__(self, host: str, port: int, scheme: str, check: Callable[[str], None], timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._scheme = scheme
        self._check = check
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Resolve the name, check the address, and connect to just that."""
        family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        self._check(str(address[0]))
        self.sock = socket.socket(family, kind, protocol)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(address)
        if self._scheme == "https":
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def address_of(text: str) -> IPv4Address | IPv6Address:
    """Return a numeric address; of one of IPv4 that is written as of IPv6, the former."""
    address = ip_address(text.partition("%")[0])
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_public(text: str) -> bool:
    """Return whether a numeric address is one of the Internet's, and of one machine."""
    address = address_of(text)
    return address.is_global and not address.is_multicast


def is_literal(host: str) -> bool:
    """Return whether a host is named by its numeric address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
