"""Items taken from a reader's queue: each is acknowledged when whoever reads has it, so that none is lost."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from crawl_dedup import CrawlError
from crawl_producer.broker import Broker, Delivery

#: Items on their way to a reader: enough to hide a round trip, few enough to share a queue with other readers.
PREFETCH = 500
#: Silence after which a queue is asked whether it is empty.
QUIET_S = 0.5


async def take(
    broker: Broker, queue: str, keep: Callable[[Sequence[bytes]], None], *, limit: int | None = None, follow: bool
) -> int:
    """Hand the items of a queue to ``keep`` in groups, and acknowledge each group when it returns.

    Killed in between it leaves items that come again, to somebody who must tell them by their ``_key``.

    Args:
        broker: open.
        queue: not a stream.
        keep: returns when the items are where they belong.
        limit: at most so many; None: all.
        follow: wait for more when the queue is empty.

    Returns:
        How many items were taken.

    Raises:
        TopologyMissing: there is no such queue.
        BrokerUnreachable, BrokerRefused: it cannot be read.
    """
    taken = 0
    prefetch = min(PREFETCH, limit or PREFETCH)
    async with aclosing(_groups(broker, queue, prefetch=prefetch, follow=follow)) as groups:
        async for group in groups:
            wanted = group if limit is None else group[: limit - taken]
            keep([delivery.body for delivery in wanted])
            for delivery in wanted:
                delivery.ack()
            taken += len(wanted)
            if taken == limit:
                break
    return taken


async def _groups(
    broker: Broker, queue: str, *, prefetch: int, follow: bool
) -> AsyncGenerator[Sequence[Delivery], None]:
    """What has arrived, again and again; it ends when the queue is empty, unless it follows."""
    arrived: deque[Delivery] = deque()
    something = asyncio.Event()

    def deliver(delivery: Delivery) -> None:
        arrived.append(delivery)
        something.set()

    subscription = await broker.consume(queue, prefetch=prefetch, deliver=deliver)
    failure = asyncio.create_task(broker.failed())
    try:
        silences = 0
        # Asked twice: what the queue has handed out may still be on its way to us.
        while follow or silences < 2:
            await _something_or_silence(something, failure)
            if arrived:
                group = tuple(arrived)
                arrived.clear()
                silences = 0
                yield group
            elif not follow:
                silences = silences + 1 if (await broker.depth(queue)).ready == 0 else 0
    finally:
        failure.cancel()
        await subscription.close()


async def _something_or_silence(something: asyncio.Event, failure: asyncio.Task[CrawlError]) -> None:
    waiting = asyncio.create_task(something.wait())
    try:
        await asyncio.wait([waiting, failure], timeout=QUIET_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    something.clear()
    if failure.done():
        raise failure.result()
