"""The RabbitMQ client: one connection that publishes, one that consumes, both coming back after a loss."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Self

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.delivery import Settlements
from crawl_producer.amqp.errors import again
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.nodes import Backoff, NodeWalk, connection_name, shuffled
from crawl_producer.amqp.publisher import Publisher
from crawl_producer.amqp.subscriber import AmqpSubscription
from crawl_producer.broker import BrokerStatistics, Delivery, Outgoing, QueueDepth
from crawl_producer.errors import PublishFailed
from crawl_producer.seal import HEADER, Seal
from crawl_producer.topology import Connection

#: AMQP carries a consumer tag behind one length byte.
_MAX_TAG_CHARS = 255


class AmqpBroker:
    """See :class:`crawl_producer.broker.Broker`. An async context manager; entering it connects.

    Two connections, because a broker that is short of memory stops reading from whoever publishes, and
    acknowledgements must still get through (https://www.rabbitmq.com/docs/alarms). The consuming one is
    opened when it is first needed.

    Args:
        connection: nodes, credentials and limits, from exchanges.yaml.
        name: the command's name, the first part of what ``rabbitmqctl list_connections`` shows.

    Raises:
        BrokerUnreachable: on entering, no node answered within ``opening_s``.
        BrokerRefused: on entering, a node refused the credentials or the virtual host.
    """

    def __init__(self, connection: Connection, *, name: str) -> None:
        self._settings = connection
        self._name = name
        self._seal = connection.seal()
        self._order = shuffled(connection)
        self._counts = Settlements()
        self._subscriptions: list[AmqpSubscription] = []
        self._consuming: Link | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<AmqpBroker {self._name}: {self.statistics()}>"

    async def __aenter__(self) -> Self:
        self._failed: asyncio.Future[CrawlError] = asyncio.get_running_loop().create_future()
        self._publishing = self._link("publish")
        self._publisher = Publisher(
            self._publishing,
            window=self._settings.confirm_window,
            confirm_timeout_s=self._settings.confirm_timeout_s,
        )
        await _open(self._publishing)
        self._publisher.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*(subscription.cancel() for subscription in self._subscriptions))
        await self._publisher.close()
        links = [link for link in (self._consuming, self._publishing) if link is not None]
        await asyncio.gather(*(link.close() for link in links))

    async def publish(self, message: Outgoing) -> None:
        """See :meth:`crawl_producer.broker.Broker.publish`."""
        (error,) = await self.publish_all((message,))
        if error is not None:
            raise error

    async def publish_all(self, messages: Sequence[Outgoing]) -> list[PublishFailed | None]:
        """See :meth:`crawl_producer.broker.Broker.publish_all`."""
        return await self._publisher.publish_all(messages if self._seal is None else _sealed(messages, self._seal))

    async def consume(self, queue: str, *, prefetch: int, deliver: Callable[[Delivery], None]) -> AmqpSubscription:
        """See :meth:`crawl_producer.broker.Broker.consume`."""
        subscription = AmqpSubscription(
            await self._consuming_link(),
            queue,
            prefetch=prefetch,
            deliver=deliver,
            tag=f"{queue}@{socket.gethostname()}:{os.getpid()}"[:_MAX_TAG_CHARS],
            counts=self._counts,
            backoff=Backoff(self._settings.retry_first_s, self._settings.retry_max_s),
            seal=self._seal,
        )
        await subscription.start()
        self._subscriptions.append(subscription)
        return subscription

    async def depth(self, queue: str) -> QueueDepth:
        """See :meth:`crawl_producer.broker.Broker.depth`."""

        async def ask(channel: Channel) -> QueueDepth:
            answer = await channel.call(channel.raw.queue_declare, queue, passive=True)
            return QueueDepth(ready=answer.method.message_count, consumers=answer.method.consumer_count)

        return await (await self._consuming_link()).once(ask)

    def statistics(self) -> BrokerStatistics:
        """See :meth:`crawl_producer.broker.Broker.statistics`."""
        publisher, wire = self._publisher, self._publishing.current
        links = [link for link in (self._publishing, self._consuming) if link is not None]
        return BrokerStatistics(
            node=wire.node if wire else "",
            **asdict(publisher.counts),
            unconfirmed=publisher.unconfirmed,
            **asdict(self._counts),
            reconnects=sum(link.reconnects for link in links),
            consumer_cancels=sum(subscription.cancels for subscription in self._subscriptions),
            blocked_s=self._publishing.blocked_s,
        )

    async def failed(self) -> CrawlError:
        """See :meth:`crawl_producer.broker.Broker.failed`."""
        return again(await asyncio.shield(self._failed))

    async def _consuming_link(self) -> Link:
        async with self._opening:
            if self._consuming is None:
                link = self._link("consume")
                await _open(link)
                self._consuming = link
        return self._consuming

    def _link(self, purpose: str) -> Link:
        walk = NodeWalk(self._settings, connection_name(self._name, purpose), self._order)
        link = Link(walk)
        link.on_gave_up = self._on_gave_up
        return link

    def _on_gave_up(self, error: CrawlError) -> None:
        if not self._failed.done():
            self._failed.set_result(error)


def _sealed(messages: Sequence[Outgoing], seal: Seal) -> Sequence[Outgoing]:
    """With the seal in the headers of those that are to have it: every publication of ours comes through here."""
    return [
        message._replace(headers={**message.headers, HEADER: seal.of(message.body)}) if message.sealed else message
        for message in messages
    ]


async def _open(link: Link) -> None:
    """Open a link, or leave nothing behind."""
    try:
        await link.open()
    except BaseException:
        await link.close()
        raise
