"""One queue consumed on a channel of its own, again after every interruption, until it is cancelled."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from pika import BasicProperties
from pika.spec import Basic

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.acknowledgements import Acknowledgements
from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.delivery import AmqpDelivery, Settlements
from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.nodes import Backoff
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.broker import Delivery
from crawl_producer.errors import TopologyMissing
from crawl_producer.seal import Seal

log = logging.getLogger(__name__)


class AmqpSubscription:
    """See :class:`crawl_producer.broker.Subscription`.

    Args:
        link: a connection that only consumes.
        queue: the queue's name.
        prefetch: deliveries that may be unsettled at once.
        deliver: gets each delivery.
        tag: what ``rabbitmqctl list_consumers`` shows, such as ``docs.pages@host:1234``.
        counts: the client's counts.
        backoff: pauses while the queue cannot be consumed.
        seal: by which deliveries are believed; None: they are.

    Attributes:
        cancels: times that the broker cancelled the consumer (queue deleted, its node lost).
    """

    def __init__(
        self,
        link: Link,
        queue: str,
        *,
        prefetch: int,
        deliver: Callable[[Delivery], None],
        tag: str,
        counts: Settlements,
        backoff: Backoff,
        seal: Seal | None = None,
    ) -> None:
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._deliver = deliver
        self._tag = tag
        self._counts = counts
        self._backoff = backoff
        self._seal = seal
        self._settling: Acknowledgements | None = None
        self._interrupted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._cancel_sent = False
        self.cancels = 0

    def __repr__(self) -> str:
        return f"<AmqpSubscription {self._tag} on {self._channel!r}>"

    @property
    def _channel(self) -> Channel | None:
        return None if self._settling is None else self._settling.channel

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._queue

    async def start(self) -> None:
        """Consume for the first time. Raises TopologyMissing, BrokerRefused or BrokerUnreachable."""
        try:
            while not await self._consumed():
                log.debug("%s: the connection was lost meanwhile", self._tag)
        except Closed as closed:
            raise closed.as_error() from closed
        except asyncio.CancelledError:
            self._abandon()
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"amqp {self._tag}")

    async def cancel(self) -> None:
        """Stop new deliveries; the channel stays open for those in hand.

        What the broker has already sent when it reads our cancel is returned to the queue by pika at once,
        for others to have; on a quorum queue that counts as one of the message's redeliveries.
        """
        await self._stop_keeper()
        self._send_acknowledgements()
        channel = self._channel
        # pika answers the cancel of a consumer that is not there, or is being cancelled, with silence.
        if self._cancel_sent or channel is None or self._tag not in channel.raw.consumer_tags:
            return
        self._cancel_sent = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await channel.call(channel.raw.basic_cancel, self._tag)
        except (Closed, TimeoutError) as error:
            log.debug("no answer to the cancel of %s: %s", self._tag, error)

    async def close(self) -> None:
        """Close the channel, whereupon the broker requeues what is not acknowledged.

        On a quorum queue that counts as one of each message's redeliveries.
        """
        await self._stop_keeper()
        self._send_acknowledgements()
        self._cancel_sent = True
        if self._channel is not None:
            await self._channel.close()

    def _send_acknowledgements(self) -> None:
        """Those that wait, and from now on each at once."""
        if self._settling is not None:
            self._settling.send_at_once()

    async def _stop_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))

    async def _keep(self) -> None:
        try:
            while True:
                await self._interrupted.wait()
                await self._resume()
        except CrawlError as error:
            # The link has given up and tells its owner; there is nothing to consume from any more.
            log.debug("%s ends: %s", self._tag, error)

    async def _resume(self) -> None:
        """Consume again, as often as it takes.

        A cancelled consumer does so on another channel: what it has in hand came from a queue that is no more, and may
        have the same number there as a message of the new one.
        """
        if (channel := self._channel) is not None and channel.is_open:
            await self._queue_is_there()
            self._settling = None
            channel.abandon()
        while True:
            try:
                if await self._consumed():
                    self._backoff.reset()
                    return
            except Closed as closed:
                log.warning("cannot consume %s: %s", self._queue, closed)
                await asyncio.sleep(self._backoff.next_s())

    async def _queue_is_there(self) -> None:
        """Wait until the queue exists, asking on other channels: "not found" closes the one that asked."""
        while True:
            await asyncio.sleep(self._backoff.next_s())
            try:
                await self._link.once(lambda ask: ask.call(ask.raw.queue_declare, self._queue, passive=True))
            except TopologyMissing as missing:
                log.warning("cannot consume %s yet: %s", self._queue, missing)
            else:
                return

    async def _consumed(self) -> bool:
        """Consume on a new channel; False when the connection was lost. Raises Closed."""
        try:
            channel = await self._link.channel()
            self._settling = settling = Acknowledgements(channel, self._prefetch)
            channel.raw.add_on_cancel_callback(self._on_cancel)
            # The prefetch of consumers that start after it.
            await channel.call(channel.raw.basic_qos, prefetch_count=self._prefetch)
            self._interrupted.clear()
            channel.closed.add_done_callback(partial(self._on_closed, settling))
            receive = partial(self._on_message, settling)
            await channel.call(channel.raw.basic_consume, self._queue, receive, consumer_tag=self._tag)
        except Closed as closed:
            if closed.lost:
                return False
            raise
        return True

    def _on_message(
        self, settling: Acknowledgements, _raw: object, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        self._counts.delivered += 1
        settling.delivered(method.delivery_tag)
        delivery = AmqpDelivery(
            self._queue, body, method.redelivered, properties, settling, method.delivery_tag, self._counts, self._seal
        )
        try:
            self._deliver(delivery)
        except Exception:
            # An exception in a pika callback ends the connection, and with it every other delivery in hand.
            log.exception("the receiver of %r failed; the message stays unsettled", delivery)

    def _on_cancel(self, frame: Any) -> None:
        if frame.method.consumer_tag == self._tag:
            self.cancels += 1
            log.warning("the broker cancelled consumer %s; it will be back with the queue", self._tag)
            self._interrupted.set()

    def _on_closed(self, settling: Acknowledgements, closed: "asyncio.Future[Closed]") -> None:
        if settling is not self._settling:
            return  # it was replaced meanwhile, and interrupts nothing
        if not closed.result().lost:
            log.warning("the channel of consumer %s was closed: %s", self._tag, closed.result())
        self._interrupted.set()

    def _abandon(self) -> None:
        if self._channel is not None:
            self._channel.abandon()
