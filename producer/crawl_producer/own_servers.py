"""Where our own servers are: RabbitMQ, its management API and Redis, whom no crawled page may lead us to."""

import asyncio
import logging
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from crawl_dedup import redis_servers
from crawl_producer import management
from crawl_producer.ports import DEFAULT_PORTS
from crawl_producer.special_addresses import Address
from crawl_producer.topology import Connection, Topology

log = logging.getLogger(__name__)

#: Seconds for one name. A resolver that takes longer knows none that we could connect to either.
LOOK_UP_S = 5.0


async def own_servers(topology: Topology) -> frozenset[tuple[Address, int]]:
    """Address and port of each server that ``topology`` names; of a Redis behind Sentinels, of them all.

    They are looked up now, and a name that cannot be is passed over.
    """
    ends = {*topology.connection.endpoints(), *_management(topology.connection)}
    ends.update(await redis_servers(topology.redis.url.get_secret_value()))
    found = await asyncio.gather(*(_addresses(host, port) for host, port in ends))
    return frozenset().union(*found)


def _management(connection: Connection) -> Iterable[tuple[str, int]]:
    if (base := management.address(connection)) is not None:
        parts = urlsplit(base)
        yield parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


async def _addresses(host: str, port: int) -> frozenset[tuple[Address, int]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOK_UP_S):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        log.info("%s cannot be looked up: %s", host, str(error) or "no answer")
        return frozenset()
    return frozenset((ip_address(info[4][0]), port) for info in infos)
