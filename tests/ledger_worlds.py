"""Two worlds to try a ledger in, memory and Redis: several consumers, and a time that a test can move on."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from crawl_dedup import (
    BatchedRedis,
    Ledger,
    LedgerName,
    MemoryLedger,
    MemoryLedgerStore,
    RedisLedger,
    forget,
    open_redis,
)
from crawl_dedup.redis_names import pattern, prefix

NAME = LedgerName("news")
KEY = bytes(range(16))


class World(Protocol):
    """Where ledgers live."""

    async def ledger(self, consumer: str, name: LedgerName = NAME) -> Ledger:
        """The ledger as this consumer sees it, who has not yet sent a heartbeat."""

    async def passes(self, seconds: float) -> None:
        """Let time pass: whoever sends no heartbeat meanwhile dies."""

    async def forget(self) -> None:
        """Forget everything."""


class MemoryWorld:
    """Ledgers in dictionaries; their clock is the real one, set forward."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self.store = MemoryLedgerStore(clock=lambda: time.monotonic() + self._ahead_s, hash_key=KEY)

    async def ledger(self, consumer: str, name: LedgerName = NAME) -> Ledger:
        return MemoryLedger(self.store, name, consumer)

    async def passes(self, seconds: float) -> None:
        self._ahead_s += seconds

    async def forget(self) -> None:
        self.store.forget(NAME)


class RedisWorld:
    """Ledgers in Redis; instead of its clock, every expiry and commit time is moved back."""

    def __init__(self, redis: BatchedRedis, expected_urls: int = 1000, name: LedgerName = NAME) -> None:
        self.redis = redis
        self.name = name  #: the ledger for which time passes
        self._expected_urls = expected_urls

    async def ledger(self, consumer: str, name: LedgerName = NAME) -> Ledger:
        rules = {"expected_urls": self._expected_urls, "hash_key": KEY}
        return await RedisLedger.open(self.redis, name, consumer=consumer, **rules)

    async def forget(self) -> None:
        await forget(self.redis, NAME)

    async def passes(self, seconds: float) -> None:
        passed_ms = int(seconds * 1000)
        for key in await self.redis.call("KEYS", pattern(self.name)):
            left_ms = await self.redis.call("PTTL", key)
            if 0 <= left_ms <= passed_ms:
                await self.redis.call("DEL", key)
            elif left_ms > 0:
                await self.redis.call("PEXPIRE", key, left_ms - passed_ms)
        outboxes = prefix(self.name) + "outs"
        for parent in await self.redis.call("ZRANGE", outboxes, 0, -1):
            await self.redis.call("ZADD", outboxes, "XX", "INCR", -passed_ms, parent)


@asynccontextmanager
async def memory_world() -> AsyncIterator[MemoryWorld]:
    """An empty world in memory."""
    yield MemoryWorld()


@asynccontextmanager
async def redis_world(url: str, **options: int) -> AsyncIterator[RedisWorld]:
    """A world in the Redis at ``url``."""
    async with await open_redis(url, name="tests") as redis:
        yield RedisWorld(redis, **options)
