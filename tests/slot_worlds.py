"""Two worlds to try host slots in, memory and Redis, with a time that a test can move."""

import time
from contextlib import asynccontextmanager

from crawl_dedup import MemorySlots, RedisSlots, Slots, open_redis

_TIMES = ("last", "next", "row", "quiet", "struck")


class MemorySlotWorld:
    """Slots in dictionaries; their clock is the real one, moved."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self.slots: Slots = MemorySlots(clock=lambda: time.time() + self._ahead_s)

    async def another(self) -> Slots:
        """The same slots as another consumer has them."""
        return self.slots

    async def passes(self, seconds: float) -> None:
        """Let time pass; less than nothing turns the clock back."""
        self._ahead_s += seconds


class RedisSlotWorld:
    """Slots in Redis; instead of its clock, every time that is kept is moved the other way."""

    def __init__(self, redis, other) -> None:
        self.redis = redis
        self.slots: Slots = RedisSlots(redis)
        self._other = RedisSlots(other)

    async def another(self) -> Slots:
        return self._other

    async def passes(self, seconds: float) -> None:
        passed_ms = round(seconds * 1000)
        for key in await self.redis.call("KEYS", "crawl:host:*"):
            if await self.redis.call("TYPE", key) == b"zset":
                for member in await self.redis.call("ZRANGE", key, 0, -1):
                    await self.redis.call("ZINCRBY", key, -passed_ms, member)
            else:
                for field in _TIMES:
                    if int(await self.redis.call("HGET", key, field) or 0):
                        await self.redis.call("HINCRBY", key, field, -passed_ms)
            left_ms = await self.redis.call("PTTL", key)
            assert left_ms > 0, "every key of a host expires"
            await self.redis.call("PEXPIRE", key, left_ms - passed_ms)


@asynccontextmanager
async def memory_slot_world():
    """An empty world in memory."""
    yield MemorySlotWorld()


@asynccontextmanager
async def redis_slot_world(url):
    """A world in the Redis at ``url``, where two consumers have a connection each."""
    async with await open_redis(url, name="tests") as redis, await open_redis(url, name="tests") as other:
        yield RedisSlotWorld(redis, other)
