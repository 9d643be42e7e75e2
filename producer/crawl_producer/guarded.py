"""aiohttp's connections, made only where a guard lets them go."""

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from crawl_producer.guard import ConnectionBlocked, Guard


def connector(guard: Guard, resolver: AbstractResolver | None = None, **options: Any) -> aiohttp.TCPConnector:
    """A pool of connections that are made where ``guard`` allows it, and nowhere else.

    Args:
        guard: is asked with the address of each socket, so literal addresses and every answer of DNS are seen by it.
        resolver: names to addresses; None: the system's.
        options: of aiohttp's TCPConnector.
    """
    sifting = _Sifting(resolver or aiohttp.ThreadedResolver(), guard)
    return aiohttp.TCPConnector(resolver=sifting, socket_factory=guard.socket_for, **options)


def blocked(error: BaseException) -> ConnectionBlocked | None:
    """The guard's refusal, if that is what a request has failed with."""
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    return reason if isinstance(reason, ConnectionBlocked) else None


class _Sifting(AbstractResolver):
    """Leaves addresses out that would be refused, while there are others.

    The guard is what keeps connections from being made. This is for the outcome: of a host's addresses aiohttp
    reports the last one that failed, and a public one that is down for a moment must not count as blocked.
    """

    def __init__(self, resolver: AbstractResolver, guard: Guard) -> None:
        self._resolver = resolver
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp's AbstractResolver."""
        found = await self._resolver.resolve(host, port, family)
        return [one for one in found if self._guard.refusal(one["host"], port) is None] or found[:1]

    async def close(self) -> None:
        """See aiohttp's AbstractResolver."""
        await self._resolver.close()
