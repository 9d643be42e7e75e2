"""A stream queue read once, from its first message to the one that was the last at the beginning.

Reading takes nothing away: acknowledgements only ask for more. Source: https://www.rabbitmq.com/docs/streams#consuming.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pika import BasicProperties
from pika.spec import Basic

from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.nodes import NodeWalk, connection_name, shuffled
from crawl_producer.errors import BrokerUnreachable, ProducerError
from crawl_producer.topology import Connection

#: Messages on their way to us. A stream is read in chunks of some hundreds; fewer would make it wait for each.
PREFETCH = 2000
#: Silence after which a stream is taken to have ended. Its count is of this moment but, where old messages are dropped
#: at the same time, not exact.
QUIET_S = 2.0


@dataclass(frozen=True, slots=True)
class Copy:
    """A message as it was published: where to, what, and under which id."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str


@asynccontextmanager
async def open_stream(connection: Connection, queue: str, *, name: str) -> AsyncIterator["StreamReader"]:
    """A reader of a stream, on a connection of its own.

    Args:
        connection: nodes and credentials, from exchanges.yaml.
        queue: the stream's name.
        name: the command's name, the first part of what ``rabbitmqctl list_connections`` shows.

    Raises:
        TopologyMissing: there is no such stream.
        BrokerUnreachable, BrokerRefused: the broker could not be asked.
    """
    link = Link(NodeWalk(connection, connection_name(name, "stream"), shuffled(connection)))
    try:
        await link.open()
        channel = await link.channel()
        answer = await channel.call(channel.raw.queue_declare, queue, passive=True)
        yield StreamReader(channel, queue, answer.method.message_count)
    except Closed as closed:
        raise _ours(closed, queue) from closed
    finally:
        await link.close()


class StreamReader:
    """Iterate it once.

    Args:
        channel: open, and used by nobody else.
        queue: the stream's name.
        expected: messages that it holds.

    Attributes:
        expected: see there; those that come later are not read.
    """

    def __init__(self, channel: Channel, queue: str, expected: int) -> None:
        self.expected = expected
        self._queue = queue
        self._channel = channel
        self._arrived: deque[tuple[int, int, Copy]] = deque()
        self._something = asyncio.Event()
        channel.closed.add_done_callback(lambda _: self._something.set())

    def __repr__(self) -> str:
        return f"<StreamReader {self._queue}: {self.expected} expected, {len(self._arrived)} waiting>"

    async def __aiter__(self) -> AsyncIterator[Copy]:
        """The messages, oldest first.

        Raises:
            BrokerUnreachable: the connection was lost; nothing is taken away, so read it again.
            BrokerRefused: this is no stream, or may not be read.
        """
        if self.expected == 0:
            return
        await self._consume()
        last: int | None = None
        while (message := await self._next()) is not None:
            tag, offset, copy = message
            self._channel.raw.basic_ack(tag)
            yield copy
            last = offset + self.expected - 1 if last is None else last
            if offset >= last:
                return

    async def _consume(self) -> None:
        raw = self._channel.raw
        try:
            await self._channel.call(raw.basic_qos, prefetch_count=PREFETCH)
            # The arguments are the stream's own; a consumer of any other queue would take messages away.
            await self._channel.call(
                raw.basic_consume, self._queue, self._on_message, arguments={"x-stream-offset": "first"}
            )
        except Closed as closed:
            raise _ours(closed, self._queue) from closed

    async def _next(self) -> tuple[int, int, Copy] | None:
        while not self._arrived:
            if self._channel.closed.done():
                raise _ours(self._channel.closed.result(), self._queue)
            self._something.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await self._something.wait()
                    continue
            return None
        return self._arrived.popleft()

    def _on_message(self, _raw: object, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        message_id = properties.message_id or ""
        offset = (properties.headers or {}).get("x-stream-offset", 0)
        copy = Copy(
            method.exchange, method.routing_key, body, message_id if isinstance(message_id, str) else repr(message_id)
        )
        self._arrived.append((method.delivery_tag, offset, copy))
        self._something.set()


def _ours(closed: Closed, queue: str) -> ProducerError:
    if closed.lost:
        return BrokerUnreachable(
            f"the connection was lost while {queue} was read: {closed}", remedy="nothing was taken away; run it again"
        )
    return closed.as_error()
