"""The guard of every connection to the web: it sees the address and port that a socket is about to connect to.

URLs and names are not looked at, because nothing can be told by them: an address has many spellings, a redirect leads
anywhere, and a name resolves to whatever its owner says, now this and now that. ``docs/security.md`` has the threats.
"""

import logging
import socket
from collections.abc import Iterable
from ipaddress import IPv6Network, ip_address
from typing import Any

from crawl_producer.ports import BAD_PORTS
from crawl_producer.special_addresses import Address, Network, behind, special

log = logging.getLogger(__name__)

#: What sockets are made by: family, type, protocol, canonical name and address, as getaddrinfo has them.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class ConnectionBlocked(OSError):
    """A connection that was never begun; the message says why, and what would allow it."""


class Guard:
    """Whom one crawl may connect to: public addresses, and what it is allowed besides.

    Args:
        allow: networks that need not be public: the crawl's ``allow_networks``.
        own: addresses and ports of our own servers, which nothing allows; see :mod:`crawl_producer.own_servers`.
    """

    def __init__(self, allow: Iterable[Network] = (), own: Iterable[tuple[Address, int]] = ()) -> None:
        self._allow = tuple(allow)
        self._own = frozenset((end, port) for address, port in own for end in (address, *behind(address)))
        #: A server of this machine can be reached at any address of it, unless it says otherwise.
        self._ports_here = frozenset(port for address, port in self._own if _is_here(address))
        self._told: set[str] = set()

    def __repr__(self) -> str:
        allowed = ", ".join(map(str, self._allow)) or "nothing"
        return f"<Guard: public addresses and {allowed}, {len(self._own)} servers of our own>"

    def socket_for(self, info: AddressInfo) -> socket.socket:
        """A new socket for a connection to this address.

        Raises:
            ConnectionBlocked: it is refused. It is logged, the first time of its kind as a warning.
        """
        family, kind, protocol, _, address = info
        if (refused := self._refused(str(address[0]), int(address[1]))) is not None:
            reason, what = refused
            log.log(logging.DEBUG if what in self._told else logging.WARNING, "blocked: %s", reason)
            self._told.add(what)
            raise ConnectionBlocked(reason)
        return socket.socket(family, kind, protocol)

    def refusal(self, address: str, port: int) -> str | None:
        """Why nobody may connect there, and what would allow it; None: it is allowed."""
        refused = self._refused(address, port)
        return None if refused is None else refused[0]

    def _refused(self, text: str, port: int) -> tuple[str, str] | None:
        """The reason, and what it will not be a warning for again: of a hostile web there is no end of them."""
        if port in BAD_PORTS:
            said = "is another protocol's; no web page is there (https://fetch.spec.whatwg.org/#port-blocking)"
            return f"{text}: port {port} {said}", f"port {port}"
        try:
            address = ip_address(text)
        except ValueError:
            return f"{text} is no address", "no address"
        ends = behind(address)
        if self._is_own((address, *ends), port):
            return f"{text} port {port} is RabbitMQ or Redis, which no crawl asks", f"own {port}"
        if self._is_allowed(address):
            return None
        for end in ends:
            if (network := special(end)) is not None and not self._is_allowed(end):
                name = text if end == address else f"{text} ({end})"
                said = f"allow_networks: [{_in_yaml(network)}] in exchanges.yaml lets the crawl go there"
                return f"{name} is not a public address; {said}", str(network)
        return None

    def _is_own(self, addresses: Iterable[Address], port: int) -> bool:
        return any((address, port) in self._own for address in addresses) or (
            port in self._ports_here and any(map(_is_here, addresses))
        )

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allow)


def _is_here(address: Address) -> bool:
    """Whether it is an address of this machine: a socket can be bound to no other."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _in_yaml(network: Network) -> str:
    """As it can stand in a list in brackets."""
    return f"'{network}'" if isinstance(network, IPv6Network) else str(network)
