"""The bytes of an answer's body as they come, unless they trickle, crumble or end with a broken connection.

aiohttp (3.14) minds none of that: its time between two reads begins anew with every byte, a body in chunks of one byte
costs it a hundred times what its length would, and a connection that breaks may look like the body's end.
"""

import asyncio
from dataclasses import dataclass
from typing import Self

import aiohttp

from crawl_producer.answer import Answer

#: Chunks (RFC 9112, 7.1) that may be as small as they like; a page that is written in small pieces has hundreds …
FREE_CHUNKS = 20_000
#: … and bytes that the others must have on average. Of one byte each, 8 MiB would cost half a minute of CPU time.
MEAN_CHUNK_BYTES = 32
#: A body that is just fast enough is not looked at more often than this, seconds.
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """The slowest that a body may come.

    Attributes:
        bytes_per_s: on average since it began; 0: as slow as it likes.
        after_s: seconds for which it may be slower.
    """

    bytes_per_s: int = 1024
    after_s: float = 10


class Arrival:
    """One body, to be read within ``with``.

    Args:
        answer: its header is read, its body is not.
        pace: the slowest that it may come.
    """

    def __init__(self, answer: Answer, pace: Pace) -> None:
        self._answer = answer
        self._content = answer.content
        self._pace = pace
        self._chunks, self._bytes = 0, 0
        has_length = answer.content_length is not None
        self._is_chunked = not has_length and "transfer-encoding" in answer.headers
        self._end = None if has_length else answer.connection_end
        self._look: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._content.is_eof():  # nearly all bodies come with their headers
            self._end = None
            return self
        if self._end is not None:
            self._end.add_done_callback(self._fail)
        if self._pace.bytes_per_s:
            self._loop = asyncio.get_running_loop()
            self._began_s = self._loop.time()
            self._look = self._loop.call_later(self._pace.after_s, self._look_at_pace)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._look is not None:
            self._look.cancel()
        if self._end is not None:
            self._end.remove_done_callback(self._fail)

    async def read(self) -> bytes:
        """The next bytes, empty at the end.

        Raises:
            TimeoutError: they come too slowly.
            aiohttp.ClientPayloadError: they come in crumbs, or will not come any more.
        """
        if self._is_chunked:
            return await self._read_chunk()
        data = await self._content.readany()
        if not data and self._answer.content_length is None and self._answer.was_broken_off:  # RFC 9112, 8
            raise aiohttp.ClientPayloadError("the connection broke within the body")
        return data

    async def _read_chunk(self) -> bytes:
        while True:
            data, is_chunk_end = await self._content.readchunk()
            self._chunks += is_chunk_end
            self._bytes += len(data)
            if self._chunks > FREE_CHUNKS and self._chunks * MEAN_CHUNK_BYTES > self._bytes:
                raise aiohttp.ClientPayloadError(f"chunks of less than {MEAN_CHUNK_BYTES} bytes")
            if data or not is_chunk_end:
                return data

    def _fail(self, _: asyncio.Future[None]) -> None:
        """Let the body end with its connection: after a broken chunk aiohttp would wait until all time is up."""
        if not self._content.is_eof():
            self._content.set_exception(aiohttp.ClientPayloadError("the body's framing is broken"))

    def _look_at_pace(self) -> None:
        if self._content.is_eof():
            return
        now_s = self._loop.time()
        enough_until_s = self._began_s + self._content.total_bytes / self._pace.bytes_per_s
        if now_s >= enough_until_s:
            slow = f"slower than {self._pace.bytes_per_s} bytes/s after {self._pace.after_s:g} s"
            self._content.set_exception(TimeoutError(slow))
        else:
            self._look = self._loop.call_at(max(enough_until_s, now_s + _LOOK_S), self._look_at_pace)
