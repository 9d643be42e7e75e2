"""The broker's promise kept in this process, for tests and for crawls that fit into one."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Self

from crawl_dedup.errors import CrawlError
from crawl_producer.broker import BrokerStatistics, Delivery, Outgoing, QueueDepth
from crawl_producer.declarations import Binding, Exchange, Finding, Queue
from crawl_producer.errors import PublishFailed, PublishRefused, TopologyMissing, Unconfirmed, Unroutable
from crawl_producer.memory_consumer import MemorySubscription, Tally
from crawl_producer.memory_queue import Stored
from crawl_producer.memory_server import MemoryServer, Routed

#: AMQP carries routing keys and message ids behind one length byte.
_MAX_SHORT_STRING_BYTES = 255


class MemoryBroker:
    """A client of a :class:`MemoryServer`: a Broker and a TopologyAdmin at once.

    Args:
        server: shared by several clients; None makes one of its own, see :attr:`server`.
    """

    def __init__(self, server: MemoryServer | None = None) -> None:
        self.server = server or MemoryServer()
        self._tally = Tally()
        self._subscriptions: list[MemorySubscription] = []
        self._error: CrawlError | None = None
        self._gave_up = asyncio.Event()
        self._connection = 1

    def __repr__(self) -> str:
        return f"<MemoryBroker on {self.server!r}>"

    async def __aenter__(self) -> Self:
        self.server.on_queue.append(self._follow)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.on_queue.remove(self._follow)
        self._end(Unconfirmed("this client is closed"))

    async def publish(self, message: Outgoing) -> None:
        """See :meth:`crawl_producer.broker.Broker.publish`."""
        (error,) = await self.publish_all((message,))
        if error is not None:
            raise error

    async def publish_all(self, messages: Sequence[Outgoing]) -> list[PublishFailed | None]:
        """See :meth:`crawl_producer.broker.Broker.publish_all`."""
        for message in messages:
            _check_encodable(message)
        await self._unblocked()
        if self._error is not None:
            raise self._error
        connection = self._connection
        self._tally.unconfirmed += len(messages)
        fates = [self._routed(message) for message in messages]
        # A confirm takes a while, in which the connection may go.
        await asyncio.sleep(0)
        self._tally.unconfirmed -= len(messages)
        if self._connection != connection:
            return [Unconfirmed(f"the connection was lost before the confirm of {m}") for m in messages]
        for fate in fates:
            if isinstance(fate, TopologyMissing):
                raise fate
        return [self._fate(message, fate) for message, fate in zip(messages, fates, strict=True)]

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> MemorySubscription:
        """See :meth:`crawl_producer.broker.Broker.consume`."""
        subscription = MemorySubscription(self.server, queue, prefetch, deliver, self._tally)
        subscription.attach()
        self._subscriptions.append(subscription)
        return subscription

    async def depth(self, queue: str) -> QueueDepth:
        """See :meth:`crawl_producer.broker.Broker.depth`."""
        found = self.server.queue(queue)
        return QueueDepth(ready=len(found.ready), consumers=len(found.consumers))

    def statistics(self) -> BrokerStatistics:
        """See :meth:`crawl_producer.broker.Broker.statistics`."""
        return BrokerStatistics(node="memory", **asdict(self._tally))

    async def failed(self) -> CrawlError:
        """See :meth:`crawl_producer.broker.Broker.failed`; only :meth:`give_up` makes it happen."""
        await self._gave_up.wait()
        assert self._error is not None
        return self._error

    async def look(self, thing: Exchange | Queue) -> Finding:
        """See :meth:`crawl_producer.declarations.TopologyAdmin.look`."""
        return self.server.look(thing)

    async def declare(self, thing: Exchange | Queue) -> None:
        """See :meth:`crawl_producer.declarations.TopologyAdmin.declare`."""
        self.server.declare(thing)

    async def bind(self, binding: Binding) -> None:
        """See :meth:`crawl_producer.declarations.TopologyAdmin.bind`."""
        self.server.bind(binding)

    async def purge(self, queue: str) -> int:
        """See :meth:`crawl_producer.declarations.TopologyAdmin.purge`."""
        ready = self.server.queue(queue).ready
        purged = len(ready)
        ready.clear()
        return purged

    def lose_connection(self) -> None:
        """Lose the connection and get another: deliveries in hand go stale and return to their queues."""
        self._tally.reconnects += 1
        self._connection += 1
        for subscription in self._subscriptions:
            subscription.lose()
        for subscription in self._subscriptions:
            subscription.follow(subscription.queue)

    def give_up(self, error: CrawlError) -> None:
        """Lose the connection for good, as a client does that finds no node any more."""
        self._end(error)
        self._gave_up.set()

    def _end(self, error: CrawlError) -> None:
        self._error = self._error or error
        self._connection += 1
        for subscription in self._subscriptions:
            subscription.lose()
        self._subscriptions.clear()

    def _follow(self, queue: str) -> None:
        for subscription in self._subscriptions:
            subscription.follow(queue)

    async def _unblocked(self) -> None:
        if self.server.blocked:
            loop = asyncio.get_running_loop()
            since_s = loop.time()
            await self.server.readable()
            self._tally.blocked_s += loop.time() - since_s

    def _routed(self, message: Outgoing) -> Routed | TopologyMissing:
        self._tally.published += 1
        stored = Stored(
            message.routing_key, message.body, message.message_id, dict(message.headers), message.priority or 0
        )
        try:
            return self.server.publish(message.exchange, stored)
        except TopologyMissing as missing:
            return missing

    def _fate(self, message: Outgoing, fate: Routed | TopologyMissing) -> PublishFailed | None:
        where = f"message {message.message_id!r} for exchange {message.exchange!r}, key {message.routing_key!r}"
        match fate:
            case Routed.UNROUTABLE:
                self._tally.returned += 1
                return Unroutable(f"no queue wants {where}", remedy="bind a queue")
            case Routed.REFUSED:
                self._tally.nacked += 1
                return PublishRefused(f"a queue refused {where}", remedy="it is full")
        self._tally.confirmed += 1
        return None


def _check_encodable(message: Outgoing) -> None:
    """Refuse what AMQP could not carry, so that tests find it. Raises ValueError."""
    short = (message.exchange, message.routing_key, message.message_id, *message.headers)
    if any(len(text.encode()) > _MAX_SHORT_STRING_BYTES for text in short):
        raise ValueError(f"a name, key or id of {message} is longer than {_MAX_SHORT_STRING_BYTES} bytes")
    values: Iterable[object] = message.headers.values()
    for value in values:
        if not isinstance(value, str) and not (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
            raise ValueError(f"{message} has a header that is neither text nor a 64-bit integer")
