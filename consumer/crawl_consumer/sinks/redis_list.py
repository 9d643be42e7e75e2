"""Records as JSON at the end of a Redis list, as readers of scrapy-redis' items expect them.

It is the crawl's own Redis: the items are written before their page is committed there, and whatever prefix of its
writes a Redis that crashed comes back with, it holds the items of every page that it calls done.

A call whose answer is lost is made again, and nobody can tell whether it was executed. So each group has a name, and
Redis remembers the last one of each process for a while, in the same step that appends (``items.lua``).
"""

import uuid
from typing import Self

from crawl_consumer.errors import OutputFailed
from crawl_consumer.sink import ItemsOnly, Record
from crawl_consumer.sinks.groups import Groups
from crawl_consumer.sinks.lines import json_line
from crawl_dedup import BatchedRedis, CrawlError

#: Seconds for which Redis remembers a process' last group: longer than any call is tried again.
REMEMBERED_S = 3600


class RedisListSink(ItemsOnly):
    """Appends each record to a list; see :class:`crawl_consumer.sink.Sink`.

    Args:
        redis: stays the caller's to close.
        key: the list's.
        writer: told apart by this from all other processes that write there at the same time.
    """

    def __init__(self, redis: BatchedRedis, key: str, *, writer: str) -> None:
        self._redis = redis
        self._key = key
        self._last = f"{key}:last:{writer}"
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
            group = uuid.uuid4().hex
            await self._redis.call("FCALL", "items1_push", 2, self._key, self._last, group, REMEMBERED_S, *items)
        except CrawlError as error:
            raise OutputFailed(f"items cannot be pushed to {self._key}: {error}", remedy=error.remedy) from error
