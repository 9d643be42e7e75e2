"""One Redis that stays where it is, and how connections to any are made."""

from redis.asyncio.connection import AbstractConnection, ConnectionPool

#: Seconds to connect: TCP, TLS and login. A host that is there answers at once.
CONNECT_S = 3.0


class FixedAddress:
    """One Redis that stays where it is.

    Args:
        pool: makes unconnected connections to it.

    Attributes:
        options: how these connections are made, for those who look.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.options = options = pool.connection_kwargs
        self.address = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        self.database = int(options.get("db") or 0)

    async def connect(self) -> AbstractConnection:
        """See :class:`crawl_dedup.redis_where.Where`."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def servers(self) -> list[tuple[str, int]]:
        """See :class:`crawl_dedup.redis_where.Where`; a socket's path is no host."""
        options = self.options
        return [] if "path" in options else [(options.get("host", "localhost"), int(options.get("port", 6379)))]


def pool(url: str, name: str) -> ConnectionPool:
    """Makes connections to the Redis or Sentinel of a URL, as ``name`` in CLIENT LIST. Raises ValueError."""
    return ConnectionPool.from_url(
        url,
        client_name=name,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_S,
        retry=None,
    )
