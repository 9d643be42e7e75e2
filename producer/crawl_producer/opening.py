"""Opening what commands need, in the order in which it must be closed again."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from crawl_dedup import BatchedRedis, Ledger, LedgerName, RedisLedger, open_redis
from crawl_producer.errors import UnknownName
from crawl_producer.topology import CrawlSpec, Topology


def identity(program: str) -> str:
    """A name for this process that no other one has, living or dead: ``program@host:pid:random``."""
    return f"{program}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def crawl_spec(topology: Topology, crawl: str) -> CrawlSpec:
    """The crawl's section of exchanges.yaml. Raises UnknownName, with the names there are."""
    try:
        return topology.crawls[crawl]
    except KeyError:
        known = ", ".join(topology.crawls)
        raise UnknownName(f"no crawl is called {crawl!r}", remedy=f"exchanges.yaml has {known}") from None


def only_crawl(topology: Topology, crawl: str | None) -> str:
    """The crawl that was named, or the only one there is. Raises UnknownName."""
    if crawl is None:
        if len(topology.crawls) == 1:
            return next(iter(topology.crawls))
        known = ", ".join(topology.crawls)
        raise UnknownName("which crawl?", remedy=f"name one of {known}")
    crawl_spec(topology, crawl)
    return crawl


@asynccontextmanager
async def redis(topology: Topology, program: str) -> AsyncIterator[BatchedRedis]:
    """The ledgers' Redis, checked. Raises LedgerUnavailable, LedgerRefused."""
    connection = await open_redis(topology.redis.url.get_secret_value(), name=program)
    async with connection:
        yield connection


@asynccontextmanager
async def ledgers(
    connection: BatchedRedis, topology: Topology, crawl: str, groups: Sequence[str], *, consumer: str
) -> AsyncIterator[tuple[Ledger, ...]]:
    """The ledgers of some groups of a crawl, with a heartbeat each. Raises CrawlMismatch."""
    spec = crawl_spec(topology, crawl)
    async with AsyncExitStack() as stack:
        yield tuple(
            [
                await stack.enter_async_context(
                    await RedisLedger.open(
                        connection,
                        LedgerName(crawl, group),
                        consumer=consumer,
                        expected_urls=spec.expected_urls,
                        canonicaliser=spec.canonical.rules().version,
                    )
                )
                for group in groups
            ]
        )


class QueueLedgers:
    """The ledger of each queue's crawl and group, opened when it is first asked for; call it with a queue's name.

    Args:
        topology: exchanges.yaml.
        connection: the ledgers' Redis.
        stack: closes them.
        consumer: a name that no other living consumer has.
    """

    def __init__(self, topology: Topology, connection: BatchedRedis, stack: AsyncExitStack, *, consumer: str) -> None:
        self._topology = topology
        self._connection = connection
        self._stack = stack
        self._consumer = consumer
        self._open: dict[LedgerName, Ledger] = {}

    async def __call__(self, queue: str) -> Ledger:
        """Raises CrawlMismatch, LedgerUnavailable."""
        name = LedgerName(*self._topology.ledger_of(queue))
        if name not in self._open:
            opened = ledgers(self._connection, self._topology, name.crawl, (name.group,), consumer=self._consumer)
            (self._open[name],) = await self._stack.enter_async_context(opened)
        return self._open[name]
