"""Requests of one process to a host, one after the other, with the crawl's delay between them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping

from crawl_consumer.response import FetchFailure, Response
from crawl_consumer.robots_fetch import Asks
from crawl_dedup import host


class Paced:
    """Asks a host again only ``delay_s`` after its last answer.

    Args:
        fetcher: what asks.
        delay_s: seconds; 0: at once.
    """

    def __init__(self, fetcher: Asks, delay_s: float) -> None:
        self._fetcher = fetcher
        self._delay_s = delay_s
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._not_before_s: dict[str, float] = {}

    async def fetch(
        self, url: str, *, first_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Response | FetchFailure:
        """See :meth:`crawl_consumer.fetch.Fetcher.fetch`; the wait is no part of the time that it took."""
        name = host(url)
        async with self._turns[name]:
            await asyncio.sleep(self._not_before_s.get(name, 0.0) - time.monotonic())
            try:
                return await self._fetcher.fetch(url, first_bytes=first_bytes, headers=headers)
            finally:
                self._not_before_s[name] = time.monotonic() + self._delay_s
