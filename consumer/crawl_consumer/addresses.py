"""Which server a host is on: its address, as far as politeness is concerned, looked up once for all its URLs."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from crawl_consumer.resolver import HostsResolver

#: Of an IPv6 address so many bits are compared: a server is given a whole network of this size.
IPV6_BITS = 64


@dataclass(frozen=True, slots=True)
class _Known:
    found: asyncio.Task[str | None]
    until_s: float


class Addresses:
    """Addresses by host, remembered for a while.

    Args:
        resolver: the fetcher's own, so that both mean the same server.
        keep_s: how long an address is remembered. A name that has none is asked for again.
        keep_hosts: how many at most; then the oldest is forgotten.
    """

    def __init__(self, resolver: HostsResolver, *, keep_s: float, keep_hosts: int) -> None:
        self._resolver = resolver
        self._keep_s = keep_s
        self._keep_hosts = keep_hosts
        self._known: dict[str, _Known] = {}

    async def of(self, host: str) -> str | None:
        """The server's address; None: there is none, and a fetch will say why.

        Of several addresses it is the same one for everybody: the lowest, of IPv4 if there is one.

        Args:
            host: as :func:`crawl_dedup.host` has it, with the brackets of IPv6.
        """
        known = self._known.get(host)
        if known is None or known.until_s < time.monotonic():
            self._known.pop(host, None)
            if len(self._known) >= self._keep_hosts:
                del self._known[next(iter(self._known))]
            known = _Known(asyncio.create_task(self._look_up(host)), time.monotonic() + self._keep_s)
            self._known[host] = known
        address = await asyncio.shield(known.found)
        if address is None and self._known.get(host) is known:
            del self._known[host]
        return address

    async def _look_up(self, host: str) -> str | None:
        try:
            answers = await self._resolver.resolve(host.strip("[]"), family=socket.AF_UNSPEC)
        except (OSError, UnicodeError):  # no such name, or one that DNS cannot spell
            return None
        return server(answer["host"] for answer in answers)


def server(addresses: Iterable[str]) -> str | None:
    """The one address by which a server is known: an IPv4 address, or an IPv6 network; None: there are none."""
    found = [_mapped(ipaddress.ip_address(address)) for address in addresses]
    if not found:
        return None
    lowest = min(found, key=lambda address: (address.version, int(address)))
    return str(lowest) if lowest.version == 4 else str(ipaddress.ip_network((int(lowest), IPV6_BITS), strict=False))


def _mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address
