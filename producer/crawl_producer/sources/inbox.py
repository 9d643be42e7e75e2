"""A queue that other systems publish URLs to: each message is acknowledged when its URL is safe in the crawl.

What is no URL goes to the queue's dead letters, byte for byte and with the reason, before it is acknowledged.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Self

from crawl_dedup import shown
from crawl_producer import names
from crawl_producer.broker import Broker, Delivery, HeaderValue, Outgoing, Subscription
from crawl_producer.sources.service import BATCH, Written

#: Deliveries in hand: a batch that is being admitted, and the next one.
PREFETCH = 2 * BATCH
#: Silence after which the queue is asked whether it is empty: what it has handed out may be on its way.
QUIET_S = 0.5


class Inbox:
    """See :class:`crawl_producer.sources.service.Source`; open it with ``async with``.

    Args:
        broker: stays the caller's to close.
        queue: the queue's name; its dead letters are kept in ``dead.<queue>``.
    """

    def __init__(self, broker: Broker, queue: str) -> None:
        self.name = queue
        self._broker = broker
        self._arrived: deque[Delivery] = deque()
        self._any = asyncio.Event()
        self._subscription: Subscription

    def __repr__(self) -> str:
        return f"<Inbox {self.name}: {len(self._arrived)} arrived>"

    async def __aenter__(self) -> Self:
        self._subscription = await self._broker.consume(self.name, prefetch=PREFETCH, deliver=self._deliver)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._subscription.cancel()

    async def next(self) -> Sequence[Written[Delivery]]:
        """See :class:`Source`."""
        silences = 0
        while not (messages := self._taken()):
            if silences == 2:
                return ()
            if not await self._something_arrives():
                # Asked twice: what the queue has handed out may still be on its way to us.
                silences += (await self._broker.depth(self.name)).ready == 0
        return messages

    async def let_go(self, taken: Sequence[Written[Delivery]], bad: Sequence[tuple[Written[Delivery], str]]) -> None:
        """See :class:`Source`.

        Raises:
            PublishFailed: a dead letter is not confirmed; nothing was acknowledged.
        """
        letters = [_letter(message.handle, reason) for message, reason in bad]
        for failure in await self._broker.publish_all(letters) if letters else ():
            if failure is not None:
                raise failure
        for message in (*taken, *(message for message, _ in bad)):
            message.handle.ack()

    def _deliver(self, delivery: Delivery) -> None:
        self._arrived.append(delivery)
        self._any.set()

    def _taken(self) -> list[Written[Delivery]]:
        """Up to a batch; what went stale while it waited here is delivered again."""
        messages: list[Written[Delivery]] = []
        while self._arrived and len(messages) < BATCH:
            delivery = self._arrived.popleft()
            if not delivery.stale:
                messages.append(Written(delivery.body, delivery))
        return messages

    async def _something_arrives(self) -> bool:
        self._any.clear()
        try:
            async with asyncio.timeout(QUIET_S):
                return await self._any.wait()
        except TimeoutError:
            return False


def _letter(delivery: Delivery, reason: str) -> Outgoing:
    headers: dict[str, HeaderValue] = {
        "crawl-reason": shown(f"undecodable: {reason}"),
        "crawl-queue": delivery.queue,
        "crawl-died-ms": time.time_ns() // 1_000_000,
    }
    return Outgoing(names.DEAD, delivery.queue, delivery.body, delivery.message_id or "undecodable", headers)
