"""Consuming from the in-memory broker: deliveries that go stale, subscriptions that come back."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crawl_producer.broker import Delivery
from crawl_producer.memory_queue import Consumer, MemoryQueue, Stored
from crawl_producer.memory_server import MemoryServer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Tally:
    """One client's counts; see :class:`crawl_producer.broker.BrokerStatistics`."""

    published: int = 0
    confirmed: int = 0
    returned: int = 0
    nacked: int = 0
    unconfirmed: int = 0
    delivered: int = 0
    acked: int = 0
    stale_acks: int = 0
    reconnects: int = 0
    consumer_cancels: int = 0
    blocked_s: float = 0.0


@dataclass(slots=True, eq=False)
class MemoryDelivery:
    """See :class:`crawl_producer.broker.Delivery`."""

    queue: str
    _stored: Stored
    _settle: Callable[["MemoryDelivery", bool], None]
    _tally: Tally
    redelivered: bool
    stale: bool = field(default=False, init=False)
    _settled: bool = field(default=False, init=False)

    def __repr__(self) -> str:
        return f"<MemoryDelivery {self.message_id!r} from {self.queue}{', stale' if self.stale else ''}>"

    @property
    def body(self) -> bytes:
        """The message's bytes as published."""
        return self._stored.body

    @property
    def message_id(self) -> str:
        """The publisher's id."""
        return self._stored.message_id

    @property
    def headers(self) -> Mapping[str, object]:
        """The message's headers."""
        return self._stored.headers

    @property
    def doubt(self) -> str:
        """Nobody else publishes in this process."""
        return ""

    @property
    def stored(self) -> Stored:
        """What goes back to the queue when it is not acknowledged."""
        return self._stored

    def ack(self) -> bool:
        """Settle it for good. Raises RuntimeError on a second settlement."""
        return self._once(requeue=False)

    def requeue(self) -> bool:
        """Give it back to its queue. Raises RuntimeError on a second settlement."""
        return self._once(requeue=True)

    def _once(self, *, requeue: bool) -> bool:
        if self._settled:
            raise RuntimeError(f"{self!r} is settled already")
        self._settled = True
        if self.stale:
            self._tally.stale_acks += 1
            return False
        self._tally.acked += not requeue
        self._settle(self, requeue)
        return True


class MemorySubscription:
    """See :class:`crawl_producer.broker.Subscription`."""

    def __init__(
        self,
        server: MemoryServer,
        queue: str,
        prefetch: int,
        deliver: Callable[[Delivery], None],
        tally: Tally,
    ) -> None:
        self._server = server
        self._queue = queue
        self._deliver = deliver
        self._tally = tally
        self._consumer = Consumer(prefetch, self._receive)
        self._source: MemoryQueue | None = None
        self._in_hand: dict[MemoryDelivery, MemoryQueue] = {}
        self._cancelled = False

    def __repr__(self) -> str:
        return f"<MemorySubscription {self._queue}, {len(self._in_hand)} in hand>"

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._queue

    async def cancel(self) -> None:
        """Stop new deliveries."""
        self._cancelled = True
        self._detach()

    async def close(self) -> None:
        """Stop, and give everything back."""
        self._cancelled = True
        self.lose()

    def attach(self) -> None:
        """Begin to receive. Raises TopologyMissing."""
        if not self._cancelled:
            self._source = self._server.queue(self._queue)
            self._source.consumers.append(self._consumer)
            self._source.serve_soon()

    def follow(self, queue: str) -> None:
        """A queue was deleted, or declared anew: if it is ours, the consumer ends or comes back."""
        if queue != self._queue or self._cancelled:
            return
        if queue in self._server.queues:
            self.attach()
        elif self._source is not None:
            self._detach()
            self._tally.consumer_cancels += 1

    def lose(self) -> None:
        """The connection went: what is in hand returns to its queue, in its old order, and is stale here."""
        self._detach()
        for delivery, source in reversed(self._in_hand.items()):
            delivery.stale = True
            source.give_back(delivery.stored)
        self._in_hand.clear()
        self._consumer = Consumer(self._consumer.prefetch, self._receive)

    def _detach(self) -> None:
        if self._source is not None:
            self._source.consumers.remove(self._consumer)
            self._source = None

    def _receive(self, source: MemoryQueue, stored: Stored) -> None:
        delivery = MemoryDelivery(self._queue, stored, self._settle, self._tally, stored.deliveries > 1)
        self._in_hand[delivery] = source
        self._tally.delivered += 1
        try:
            self._deliver(delivery)
        except Exception:
            log.exception("the receiver of %r failed; the message stays unsettled", delivery)

    def _settle(self, delivery: MemoryDelivery, requeue: bool) -> None:
        source = self._in_hand.pop(delivery)
        self._consumer.unsettled -= 1
        if requeue:
            source.give_back(delivery.stored)
        else:
            source.serve_soon()
