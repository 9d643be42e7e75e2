"""The shared memory of robots.txt files in Redis: two keys an origin, each changed by one plain command.

``crawl:robots:{<origin>}:file`` holds the record and expires with it; ``crawl:robots:{<origin>}:lease`` names
the consumer that is asking. They belong to no crawl: what a site says holds for all.
"""

import asyncio

from crawl_dedup import redis_names
from crawl_dedup.redis_batch import BatchedRedis
from crawl_dedup.robots_cache import CachedRobots, RobotsRecord, fresh_s, kept_s


class RedisRobots:
    """See :class:`crawl_dedup.robots_cache.RobotsCache`.

    Args:
        redis: an open connection, which stays the caller's to close.
        consumer: a name that no other living consumer has.
    """

    def __init__(self, redis: BatchedRedis, *, consumer: str) -> None:
        self._redis = redis
        self._consumer = consumer

    def __repr__(self) -> str:
        return f"<RedisRobots consumer={self._consumer} at {self._redis.address}>"

    async def read(self, origin: str) -> CachedRobots | None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.read`."""
        key = redis_names.robots_file(origin)
        # In this order: when a record is replaced between the two, the new one is at worst taken for too old.
        left_ms, encoded = await asyncio.gather(self._redis.call("PTTL", key), self._redis.call("GET", key))
        record = RobotsRecord.decode(encoded) if encoded is not None else None
        return CachedRobots(record, fresh_s(record, left_ms / 1000)) if record else None

    async def lease(self, origin: str, *, lease_s: float) -> bool:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.lease`."""
        key = redis_names.robots_lease(origin)
        # GET: a call that is sent again for want of an answer must find that the lease is ours already.
        holder = await self._redis.call("SET", key, self._consumer, "NX", "GET", "PX", _ms(lease_s))
        return holder is None or holder == self._consumer.encode()

    async def keep(self, origin: str, record: RobotsRecord, *, fresh_s: float) -> None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.keep`."""
        key = redis_names.robots_file(origin)
        await self._redis.call("SET", key, record.encode(), "PX", _ms(kept_s(record, fresh_s)))

    async def release(self, origin: str) -> None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.release`."""
        key = redis_names.robots_lease(origin)
        # Two commands suffice: should the lease pass to another between them, the worst is a second request.
        if await self._redis.call("GET", key) == self._consumer.encode():
            await self._redis.call("DEL", key)


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
