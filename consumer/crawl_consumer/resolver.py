"""Names to addresses: a file of hosts first, as /etc/hosts has them, then the system's own resolver."""

import socket
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from crawl_consumer.errors import HostsInvalid


def read_hosts(path: Path) -> dict[str, str]:
    """Addresses by name.

    Args:
        path: lines of an address and its names; ``#`` begins a comment.

    Raises:
        HostsInvalid: it cannot be read, or a line has no name or no address; the message says which.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HostsInvalid(f"hosts {path} cannot be read: {error}", remedy="name a text file") from None
    hosts: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        address, *names = line.partition("#")[0].split() or [""]
        if address and not (names and _is_address(address)):
            raise HostsInvalid(f"hosts {path}, line {number}: no address and name", remedy="write: 127.0.0.2 a.example")
        hosts |= dict.fromkeys(map(str.lower, names), address)
    return hosts


class HostsResolver(AbstractResolver):
    """The names of a table; all others are asked of the system, which operators configure.

    Args:
        hosts: addresses by name, in lower case.
    """

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp's AbstractResolver."""
        address = self._hosts.get(host.lower())
        if address is None:
            return await self._system.resolve(host, port, family)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """See aiohttp's AbstractResolver."""
        await self._system.close()


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
