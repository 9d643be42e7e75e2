"""Records as JSON at the end of a Redis list, as readers of scrapy-redis' items expect them.

It is the crawl's own Redis: the items are written before their page is committed there, and whatever prefix of its
writes a Redis that crashed comes back with, it holds the items of every page that it calls done.
"""

from typing import Self

from crawl_consumer.errors import OutputFailed
from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.lines import json_line
from crawl_dedup import BatchedRedis, CrawlError


class RedisListSink(ItemsOnly):
    """Appends each record to a list; see :class:`crawl_consumer.sink.Sink`.

    Args:
        redis: stays the caller's to close.
        key: the list's.
    """

    def __init__(self, redis: BatchedRedis, key: str) -> None:
        self._redis = redis
        self._key = key
        self._groups = Groups(self._push)

    def __repr__(self) -> str:
        return f"RedisListSink({self._key!r}, {self._groups!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._groups.close()

    def write(self, record: Record) -> None:
        """Take a record into the next group.

        Raises:
            ItemInvalid: a value is nothing that JSON can hold.
            OutputFailed: an earlier group failed.
        """
        self._groups.add(json_line(record).rstrip(b"\n"))

    async def flush(self) -> None:
        """Return when Redis has every record written before.

        Raises:
            OutputFailed: it has not, or the key holds something else.
        """
        await self._groups.flush()

    async def _push(self, items: list[bytes]) -> None:
        try:
            await self._redis.call("RPUSH", self._key, *items)
        except CrawlError as error:
            raise OutputFailed(f"items cannot be pushed to {self._key}: {error}", remedy=error.remedy) from error
