"""Intake: deliveries from the matched queues, under one prefetch budget, parked URLs first."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from crawl_producer import names
from crawl_producer.broker import Broker, Delivery, Subscription
from crawl_producer.errors import UnknownName
from crawl_producer.topic import topic_matches

log = logging.getLogger(__name__)

#: Deliveries held beyond those being fetched: hides the broker's round trip, and is what a crash sends back.
PREFETCH_PER_SLOT = 2
#: RabbitMQ caps a quorum queue's consumer prefetch at 2000 (its quorum queue guide).
MAX_PREFETCH = 2000


def matching_queues(patterns: Iterable[str], queues: Sequence[str]) -> tuple[str, ...]:
    """The work queues that the patterns name: ``*`` is one word, ``#`` any number of words.

    AMQP cannot consume by pattern, so the pattern is applied to the names in exchanges.yaml.

    Raises:
        UnknownName: a pattern matches no queue; the remedy lists the queues.
    """
    matched: dict[str, None] = {}
    for pattern in patterns:
        hits = [queue for queue in queues if topic_matches(pattern, queue)]
        if not hits:
            raise UnknownName(
                f"no queue matches {pattern!r}", remedy=f"exchanges.yaml has the queues {', '.join(queues)}"
            )
        matched |= dict.fromkeys(hits)
    return tuple(matched)


class Intake:
    """The deliveries of several queues as one stream.

    Args:
        broker: where they come from.
        queues: the matched work queues; each brings its ``.due`` companion.
        slots: how many deliveries are worked on at once.
    """

    def __init__(self, broker: Broker, queues: Sequence[str], *, slots: int) -> None:
        self._broker = broker
        self._queues = queues
        self._prefetch = min(MAX_PREFETCH, max(1, slots * PREFETCH_PER_SLOT // len(queues)))
        self._due: deque[Delivery] = deque()
        self._fresh: deque[Delivery] = deque()
        self._arrived = asyncio.Semaphore(0)
        self._after_due = False
        self._stopped = False
        self._subscriptions: list[Subscription] = []

    def __repr__(self) -> str:
        return f"<Intake {len(self._queues)} queues, {len(self._due)} due, {len(self._fresh)} fresh>"

    async def next(self) -> Delivery | None:
        """The next live delivery, one that waited before each fresh one; None after :meth:`stop`."""
        while True:
            await self._arrived.acquire()
            if self._stopped:
                self._arrived.release()
                return None
            delivery = self._choose().popleft()
            if not delivery.stale:
                return delivery

    def _choose(self) -> deque[Delivery]:
        """Those that waited first, but a fresh one after each: only fresh ones make room in a full queue."""
        first, second = (self._fresh, self._due) if self._after_due else (self._due, self._fresh)
        chosen = first or second
        self._after_due = chosen is self._due
        return chosen

    async def drained(self) -> bool:
        """Whether nothing waits here or in the queues: after a broker's death a copy may outlive its crawl."""
        if self._due or self._fresh:
            return False
        depths = [await self._broker.depth(subscription.queue) for subscription in self._subscriptions]
        return all(depth.ready == 0 for depth in depths)

    async def stop(self) -> None:
        """Take no more; what was not begun returns to its queue when the broker connection closes."""
        if self._stopped:
            return
        self._stopped = True
        self._arrived.release()
        await asyncio.gather(*(subscription.cancel() for subscription in self._subscriptions))

    async def __aenter__(self) -> Self:
        for queue in self._queues:
            for name, arrived in ((names.due_queue(queue), self._due), (queue, self._fresh)):
                self._subscriptions.append(
                    await self._broker.consume(name, prefetch=self._prefetch, deliver=self._into(arrived))
                )
        log.info("consuming %s, prefetch %d each", ", ".join(self._queues), self._prefetch)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _into(self, arrived: deque[Delivery]) -> Callable[[Delivery], None]:
        def deliver(delivery: Delivery) -> None:
            arrived.append(delivery)
            self._arrived.release()

        return deliver
