"""Several outputs at once: a page is done when all of them have its items."""

import asyncio
from collections.abc import Sequence
from typing import Self

from crawl_consumer.response import Response
from crawl_consumer.sink import Record, Sink


class SeveralSinks:
    """Hands everything to each of its outputs; see :class:`crawl_consumer.sink.Sink`.

    Args:
        sinks: open, and closed by whoever opened them: others may share them.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    def write(self, record: Record) -> None:
        """Hand it on.

        Raises:
            ItemInvalid: one output cannot hold it; those before it have it all the same.
            OutputFailed: one is broken.
        """
        for sink in self._sinks:
            sink.write(record)

    def archive(self, response: Response, /) -> bool:
        """Hand it on. Raises OutputFailed if one is broken."""
        archived = [sink.archive(response) for sink in self._sinks]
        return any(archived)

    async def flush(self) -> None:
        """Return when all outputs have everything. Raises OutputFailed if one has not."""
        await asyncio.gather(*(sink.flush() for sink in self._sinks))
