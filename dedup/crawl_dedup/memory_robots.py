"""The shared memory of robots.txt files in a dictionary, for tests and for crawls within one process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crawl_dedup.robots_cache import CachedRobots, RobotsRecord, fresh_s, kept_s


@dataclass(slots=True)
class MemoryRobotsStore:
    """What several memory caches share, as several Redis caches share a Redis.

    Attributes:
        clock: seconds that never run backwards.
    """

    clock: Callable[[], float] = time.monotonic
    records: dict[str, tuple[RobotsRecord, float]] = field(default_factory=dict)  #: and until when they are kept
    leases: dict[str, tuple[str, float]] = field(default_factory=dict)  #: holder, and until when


class MemoryRobots:
    """See :class:`crawl_dedup.robots_cache.RobotsCache`.

    Args:
        store: shared with the other consumers' caches.
        consumer: a name that no other one has.
    """

    def __init__(self, store: MemoryRobotsStore, consumer: str) -> None:
        self._store = store
        self._consumer = consumer

    async def read(self, origin: str) -> CachedRobots | None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.read`."""
        record, until_s = self._store.records.get(origin, (None, 0.0))
        left_s = until_s - self._store.clock()
        if record is None or left_s <= 0:
            return None
        return CachedRobots(record, fresh_s(record, left_s))

    async def lease(self, origin: str, *, lease_s: float) -> bool:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.lease`."""
        now = self._store.clock()
        holder, until_s = self._store.leases.get(origin, ("", 0.0))
        if until_s > now:
            return holder == self._consumer
        self._store.leases[origin] = (self._consumer, now + lease_s)
        return True

    async def keep(self, origin: str, record: RobotsRecord, *, fresh_s: float) -> None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.keep`."""
        self._store.records[origin] = (record, self._store.clock() + kept_s(record, fresh_s))

    async def release(self, origin: str) -> None:
        """See :meth:`crawl_dedup.robots_cache.RobotsCache.release`."""
        if self._store.leases.get(origin, ("", 0.0))[0] == self._consumer:
            del self._store.leases[origin]
