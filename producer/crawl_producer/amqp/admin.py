"""Looking at and declaring exchanges, queues and bindings in RabbitMQ."""

import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.nodes import NodeWalk, connection_name, shuffled
from crawl_producer.amqp.wire import Wire
from crawl_producer.declarations import Binding, Exchange, Finding, Queue, State, TopologyAdmin
from crawl_producer.errors import BrokerRefused, TopologyDrift, TopologyMissing
from crawl_producer.topology import Connection

#: The first RabbitMQ whose quorum queues have what the delays rest on: a time to live, and dead-lettering that keeps
#: a message until its target has confirmed it.
OLDEST_VERSION = (3, 10)


@asynccontextmanager
async def open_admin(connection: Connection, *, name: str = "crawl-topology") -> AsyncIterator[TopologyAdmin]:
    """A connection for looking and declaring.

    Args:
        connection: nodes and credentials, from exchanges.yaml; the user needs the configure permission.
        name: the command's name, the first part of what ``rabbitmqctl list_connections`` shows.

    Raises:
        BrokerUnreachable: no node answered within ``opening_s``.
        BrokerRefused: a node refused the credentials or the virtual host, or is older than ``OLDEST_VERSION``.
    """
    link = Link(NodeWalk(connection, connection_name(name, "admin"), shuffled(connection)))
    try:
        await link.open()
        _refuse_older(await link.wire())
        yield AmqpAdmin(link)
    finally:
        await link.close()


class AmqpAdmin:
    """See :class:`crawl_producer.declarations.TopologyAdmin`.

    Every call has a channel of its own, because the broker answers "not found" and "other arguments" by
    closing the channel, with everything else that waits on it.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def look(self, thing: Exchange | Queue) -> Finding:
        """Ask passively whether it is there; then declare it, which changes nothing, to learn whether it fits."""
        try:
            await self._link.once(lambda channel: _declared(channel, thing, passive=True))
        except TopologyMissing:
            return Finding(State.MISSING)
        try:
            await self.declare(thing)
        except TopologyDrift as drift:
            return Finding(State.DIFFERENT, str(drift))
        return Finding(State.SAME)

    async def declare(self, thing: Exchange | Queue) -> None:
        """Declare it durable."""
        await self._link.once(lambda channel: _declared(channel, thing, passive=False))

    async def bind(self, binding: Binding) -> None:
        """Bind a queue or an exchange to an exchange."""

        def bound(channel: Channel) -> Awaitable[Any]:
            method = channel.raw.exchange_bind if binding.to_exchange else channel.raw.queue_bind
            arguments = dict(binding.arguments)
            return channel.call(method, binding.destination, binding.source, binding.key, arguments)

        await self._link.once(bound)

    async def purge(self, queue: str) -> int:
        """Drop the queue's ready messages."""
        answer = await self._link.once(lambda channel: channel.call(channel.raw.queue_purge, queue))
        return int(answer.method.message_count)


def _declared(channel: Channel, thing: Exchange | Queue, *, passive: bool) -> Awaitable[Any]:
    arguments = dict(thing.arguments)
    if isinstance(thing, Exchange):
        return channel.call(
            channel.raw.exchange_declare,
            thing.name,
            thing.type,
            passive=passive,
            durable=True,
            arguments=arguments,
        )
    return channel.call(channel.raw.queue_declare, thing.name, passive=passive, durable=True, arguments=arguments)


def _refuse_older(wire: Wire) -> None:
    """Say in one line what RabbitMQ would say of every delay queue; what is no RabbitMQ may try."""
    version = re.match(r"(\d+)\.(\d+)", wire.server_version)
    if version and (int(version[1]), int(version[2])) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise BrokerRefused(
            f"RabbitMQ at {wire.node} has version {wire.server_version}", remedy=f"install RabbitMQ {oldest} or later"
        )
