"""The master of a replicated Redis, wherever most of its Sentinels say that it is just now."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from redis import exceptions as redis_errors
from redis.asyncio.connection import AbstractConnection, ConnectionPool

from crawl_dedup.errors import LedgerRefused
from crawl_dedup.redis_address import FixedAddress, pool

log = logging.getLogger(__name__)

#: Seconds for one Sentinel's answer: it asks nobody. All are asked at once.
SENTINEL_S = 1.0
#: Where Sentinels listen unless the URL says otherwise (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
SENTINEL_PORT = 26379


class BehindSentinels:
    """The master of a replicated Redis; the Sentinels are asked again for each connection.

    A Sentinel that was cut off may name a master that is one no more, so whoever is named must say so itself
    (https://redis.io/docs/latest/develop/reference/sentinel-clients/).

    Args:
        master: the name by which the Sentinels know it.
        sentinels: where they are; where they disagree, the first ones are believed first.
        server: makes connections like those to the master, but to nowhere.

    Attributes:
        sentinels, server: as given.
    """

    def __init__(self, master: str, sentinels: Sequence[FixedAddress], server: ConnectionPool) -> None:
        self._master = master
        self.sentinels = list(sentinels)
        self.server = server
        self._last = ""
        self.database = int(server.connection_kwargs.get("db") or 0)
        self.address = f"{master} (Sentinels {', '.join(sentinel.address for sentinel in sentinels)})"

    async def connect(self) -> AbstractConnection:
        """See :class:`crawl_dedup.redis_where.Where`."""
        host, port = await self._ask()
        connection: AbstractConnection = self.server.connection_class(
            **self.server.connection_kwargs | {"host": host, "port": port}
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await self._see_that_it_is_master(connection, f"{host}:{port}")
        except BaseException:
            # Who named it may be cut off from the others, who know better.
            self.sentinels.append(self.sentinels.pop(0))
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def servers(self) -> list[tuple[str, int]]:
        """Everybody's, see :class:`crawl_dedup.redis_where.Where`; Sentinels that may not tell are passed over."""
        found = [end for sentinel in self.sentinels for end in await sentinel.servers()]
        for sentinel in tuple(self.sentinels):
            try:
                async with asyncio.timeout(SENTINEL_S):
                    if (master := await self._named_by(sentinel)) is not None:
                        found.append(master)
                        found += await self._replicas_by(sentinel)
                        break
            except (redis_errors.RedisError, OSError, RuntimeError) as error:
                log.info("Sentinel %s: %s", sentinel.address, str(error) or "no answer")
        return found

    async def _ask(self) -> tuple[str, int]:
        """The address that most Sentinels name.

        One alone may not have heard of a promotion yet, and name the former master, which has come back by then and
        takes itself for the master until the Sentinels tell it: for up to ten seconds, of which nothing would be left.
        """
        asking = [asyncio.ensure_future(self._answer_of(sentinel)) for sentinel in self.sentinels]
        try:
            said: Counter[tuple[str, int]] = Counter()
            for coming in asyncio.as_completed(asking):
                if isinstance(named := await coming, tuple):
                    said[named] += 1
                    if 2 * said[named] > len(asking):
                        return named
            answers = [one.result() for one in asking]
        finally:
            for one in asking:
                one.cancel()
        if said:  # where they disagree, or most are away: in the order in which they stand
            return max((one for one in answers if isinstance(one, tuple)), key=said.__getitem__)
        raise self._nobody_names_it([one for one in answers if isinstance(one, str)])

    async def _answer_of(self, sentinel: FixedAddress) -> tuple[str, int] | str | None:
        """What it names; why it is silent; or None: it knows no such master. Raises LedgerRefused."""
        try:
            async with asyncio.timeout(SENTINEL_S):
                return await self._named_by(sentinel)
        except (redis_errors.AuthenticationError, redis_errors.NoPermissionError) as error:
            raise self._login_refused(sentinel, error) from error
        except (redis_errors.RedisError, OSError, RuntimeError) as error:
            return f"Sentinel {sentinel.address}: {str(error) or 'no answer'}"

    async def _named_by(self, sentinel: FixedAddress) -> tuple[str, int] | None:
        answer = await self._told_by(sentinel, "GET-MASTER-ADDR-BY-NAME")
        return (answer[0].decode(), int(answer[1])) if answer else None

    async def _replicas_by(self, sentinel: FixedAddress) -> list[tuple[str, int]]:
        replicas = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in await self._told_by(sentinel, "REPLICAS")]
        return [(replica[b"ip"].decode(), int(replica[b"port"])) for replica in replicas]

    async def _told_by(self, sentinel: FixedAddress, question: str) -> Any:
        connection = await sentinel.connect()
        try:
            await connection.send_command("SENTINEL", question, self._master, check_health=False)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)

    async def _see_that_it_is_master(self, connection: AbstractConnection, address: str) -> None:
        # Not ROLE, which says the same: it is a "dangerous" command, denied to users that may do all we need.
        await connection.send_command("INFO", "replication", check_health=False)
        if b"role:master" not in await connection.read_response():
            raise redis_errors.ConnectionError(f"{address} is a replica, and no other is master yet")
        if address != self._last:
            log.info("the master of %s is %s", self._master, address)
            self._last = address

    def _nobody_names_it(self, silent: Sequence[str]) -> Exception:
        if not silent:
            return LedgerRefused(
                f"no Sentinel knows a master called {self._master!r}",
                remedy="correct the name in CRAWL_REDIS_URL; redis-cli -p 26379 SENTINEL MASTERS lists them",
            )
        return redis_errors.ConnectionError(f"no Sentinel names the master; {silent[-1]}")

    def _login_refused(self, sentinel: FixedAddress, error: Exception) -> LedgerRefused:
        return LedgerRefused(
            f"Sentinel {sentinel.address} refuses the login: {error}",
            remedy="add ?sentinel_password=… to CRAWL_REDIS_URL, and &sentinel_username=… if it asks for one",
        )


def behind_sentinels(url: str, name: str) -> BehindSentinels:
    """The master of a URL as :func:`crawl_dedup.redis_where.where` reads it. Raises ValueError: it cannot be read."""
    parts = urlsplit(url)
    scheme = parts.scheme.removesuffix("+sentinel")
    credentials, at, hosts = parts.netloc.rpartition("@")
    master, _, database = parts.path.strip("/").partition("/")
    query = dict(parse_qsl(parts.query))
    login = _login(query.pop("sentinel_username", ""), query.pop("sentinel_password", ""))
    if not master or not all(hosts.split(",")) or not (database or "0").isdigit():
        raise ValueError("Sentinels, the master's name or the database are missing")
    server = f"{scheme}://{credentials}{at}localhost/{database or 0}?{urlencode(query)}"
    tls = urlencode({option: value for option, value in query.items() if option.startswith("ssl_")})
    sentinels = [FixedAddress(pool(f"{scheme}://{login}{_with_port(host)}?{tls}", name)) for host in hosts.split(",")]
    return BehindSentinels(master, sentinels, pool(server, name))


def _with_port(host: str) -> str:
    return host if urlsplit(f"//{host}").port else f"{host}:{SENTINEL_PORT}"


def _login(username: str, password: str) -> str:
    return f"{quote(username, safe='')}:{quote(password, safe='')}@" if password else ""
