"""Where Redis is: at one address, or wherever the Sentinels say that the master is just now.

Each answer to :meth:`connect` is a connection that is logged in. Redis may be somewhere else at the next one.
"""

import re
from typing import Protocol
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection

from crawl_dedup.errors import LedgerRefused
from crawl_dedup.redis_address import FixedAddress, pool
from crawl_dedup.redis_sentinels import behind_sentinels

_SENTINEL_SCHEME = re.compile(r"rediss?\+sentinel$")
_REMEDY = (
    "write redis://host:port/0, rediss://… for TLS, unix:///path, or redis+sentinel://host:26379,host2:26379/master/0"
)


class Where(Protocol):
    """A place to find Redis.

    Attributes:
        address: for messages; without a password.
        database: its number.
    """

    address: str
    database: int

    async def connect(self) -> AbstractConnection:
        """A new connection, logged in. Raises redis-py's errors, OSError or LedgerRefused."""

    async def servers(self) -> list[tuple[str, int]]:
        """Host and port of all that belongs to it, as far as can be known now."""


async def redis_servers(url: str) -> list[tuple[str, int]]:
    """Host and port of whatever a Redis URL leads to: the server; or the Sentinels, the master and its replicas.

    Raises:
        LedgerRefused: as :func:`where`.
    """
    return await where(url, name="crawl").servers()


def where(url: str, *, name: str) -> Where:
    """Read a Redis URL.

    Args:
        url: ``redis://``, ``rediss://`` (TLS), ``unix://``, or ``redis+sentinel://`` and ``rediss+sentinel://``:
            ``redis+sentinel://user:password@host:26379,host2:26379/master/0?sentinel_password=…``, where user and
            password are those of Redis.
        name: how this program is to appear in CLIENT LIST.

    Raises:
        LedgerRefused: it cannot be read; the message does not repeat it.
    """
    try:
        if _SENTINEL_SCHEME.match(urlsplit(url).scheme):
            return behind_sentinels(url, name)
        return FixedAddress(pool(url, name))
    except ValueError:
        # Not "from" it: it quotes the part that it could not read, which may be a piece of the password.
        raise LedgerRefused("the Redis URL cannot be read", remedy=_REMEDY) from None
