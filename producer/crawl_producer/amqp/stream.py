"""A stream queue read once, from some place on: to the message that was the last at the beginning, or for ever.

Reading takes nothing away: acknowledgements only ask for more. Source: https://www.rabbitmq.com/docs/streams#consuming.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from pika import BasicProperties
from pika.spec import Basic

from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.delivery import id_of
from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.nodes import NodeWalk, connection_name, shuffled
from crawl_producer.errors import BrokerUnreachable, ProducerError
from crawl_producer.seal import Seal
from crawl_producer.topology import Connection

#: Messages on their way to us. A stream is read in chunks of some hundreds; fewer would make it wait for each.
PREFETCH = 2000
#: Silence after which a stream has nothing for us: it answers at once what it has.
QUIET_S = 2.0
#: Silence after which its last chunk has come: the broker sends a chunk in one go.
CHUNK_QUIET_S = 0.5
#: In the words of a node that cannot serve a stream: those of RabbitMQ 3, and of 4.
_NO_REPLICA = re.compile("does not have a (?:running )?replica")
#: A cluster whose nodes were restarted starts its replicas anew one by one; for some seconds no node may have one.
REPLICA_WAIT_S = 30.0
#: Between two nodes that were asked.
NEXT_NODE_S = 0.2
#: Where others publish all the time the end is what was there by then.
TAIL_S = 3.0

#: Where reading begins: an offset, a moment, or in RabbitMQ's words ``first``, ``last`` (the newest chunk) or ``next``.
#: A moment means the chunk that was being written then. Source: https://www.rabbitmq.com/docs/streams#consuming.
Place = int | datetime | str


@dataclass(frozen=True, slots=True)
class Copy:
    """A message as it was published: where to, what, and under which id."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    offset: int = field(default=0, compare=False)  #: its place in the stream; -1: nobody can tell
    doubt: str = field(default="", compare=False)  #: see :attr:`crawl_producer.broker.Delivery.doubt`


@asynccontextmanager
async def open_stream(
    connection: Connection, queue: str, *, name: str, first: Place = "first", follow: bool = False
) -> AsyncIterator["StreamReader"]:
    """A reader of a stream, on a connection of its own.

    Args:
        connection: nodes and credentials, from exchanges.yaml.
        queue: the stream's name.
        name: the command's name, the first part of what ``rabbitmqctl list_connections`` shows.
        first: where reading begins.
        follow: go on with what is published later.

    Raises:
        TopologyMissing: there is no such stream.
        BrokerUnreachable, BrokerRefused: the broker could not be asked, or this is no stream that we may read.
    """
    link, last = await _at_a_node_that_has_it(connection, queue, connection_name(name, "stream"))
    try:
        yield StreamReader(await link.channel(), queue, last, first=first, follow=follow, seal=connection.seal())
    except Closed as closed:
        raise _ours(closed, queue) from closed
    finally:
        await link.close()


async def _at_a_node_that_has_it(connection: Connection, queue: str, name: str) -> tuple[Link, float]:
    """A link, and the offset of the stream's last message, as :func:`_last_offset` has it.

    A node that has just come back may have no replica yet, and a stream is read from where one is.
    """
    nodes = shuffled(connection)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + REPLICA_WAIT_S
    while True:
        link = Link(NodeWalk(connection, name, nodes))
        try:
            await link.open()
            # A stream's message count is as old as RabbitMQ's last tick, so the end is found by looking at it.
            return link, await _last_offset(await link.channel(), queue)
        except Closed as closed:
            await link.close()
            if not _NO_REPLICA.search(str(closed)) or loop.time() > until_s:
                raise _ours(closed, queue) from closed
            nodes = (*nodes[1:], nodes[0])
            await asyncio.sleep(NEXT_NODE_S)
        except BaseException:
            await link.close()
            raise


async def _last_offset(channel: Channel, queue: str) -> float:
    """The offset of the stream's last message; -1: there is none, infinite: no message at its end tells its own."""
    tail = _Consumer(channel, queue)
    await tail.consume("last")
    loop = asyncio.get_running_loop()
    until_s = loop.time() + TAIL_S
    last: float = -1
    quiet_s = QUIET_S
    while loop.time() < until_s and (message := await tail.next(quiet_s)) is not None:
        last, quiet_s = message.offset if message.offset >= 0 else math.inf, CHUNK_QUIET_S
    await channel.close()
    return last


class StreamReader:
    """Iterate it once.

    Args:
        channel: open, and used by nobody else.
        queue: the stream's name.
        last: the offset of the last message that is there; -1: there is none; infinite: nobody knows, and it is read
            until nothing comes any more.
        first: where reading begins.
        follow: go on with what is published later.
        seal: by which messages are believed; None: they are.

    Attributes:
        expected: messages to read, at most, if that is known; a stream that has dropped its oldest holds fewer.
    """

    def __init__(
        self,
        channel: Channel,
        queue: str,
        last: float,
        *,
        first: Place = "first",
        follow: bool = False,
        seal: Seal | None = None,
    ) -> None:
        self.expected = None if math.isinf(last) else int(last) + 1
        self._consumer = _Consumer(channel, queue, seal)
        self._first = first
        self._last = math.inf if follow else last
        self._follow = follow

    def __repr__(self) -> str:
        return f"<StreamReader of {self._consumer!r}, {self.expected} expected>"

    async def __aiter__(self) -> AsyncGenerator[Copy, None]:
        """The messages, oldest first; unless it follows, those that come later than the last are not read.

        Raises:
            BrokerUnreachable: the connection was lost; nothing is taken away, so read it again.
            BrokerRefused: it may not be read.
        """
        if self._last < 0:
            return
        try:
            await self._consumer.consume(self._first)
        except Closed as closed:
            raise _ours(closed, self._consumer.queue) from closed
        while (message := await self._consumer.next(QUIET_S)) is not None or self._follow:
            if message is None:
                continue
            if message.offset <= self._last:
                yield message
            if message.offset >= self._last:
                return


class _Consumer:
    """What a stream brings, from some place on."""

    def __init__(self, channel: Channel, queue: str, seal: Seal | None = None) -> None:
        self._channel = channel
        self.queue = queue
        self._seal = seal
        self._arrived: deque[tuple[int, Copy]] = deque()
        self._something = asyncio.Event()
        self._offset = -1  #: of the latest message
        channel.closed.add_done_callback(lambda _: self._something.set())

    def __repr__(self) -> str:
        return f"<stream {self.queue}: {len(self._arrived)} waiting>"

    async def consume(self, offset: Place) -> None:
        """Ask for messages from there on.

        Raises:
            Closed: the broker refused, or was lost.
        """
        raw = self._channel.raw
        await self._channel.call(raw.basic_qos, prefetch_count=PREFETCH)
        arguments = {"x-stream-offset": offset}
        await self._channel.call(raw.basic_consume, self.queue, self._on_message, arguments=arguments)

    async def next(self, quiet_s: float) -> Copy | None:
        """The next message; None after such a silence."""
        while not self._arrived:
            if self._channel.closed.done():
                raise _ours(self._channel.closed.result(), self.queue)
            self._something.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(quiet_s):
                    await self._something.wait()
                    continue
            return None
        tag, message = self._arrived.popleft()
        self._channel.raw.basic_ack(tag)
        return message

    def _on_message(self, _raw: object, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        headers = properties.headers or {}
        doubt = "" if self._seal is None else self._seal.doubt(headers, body)
        # What a stranger has put into its headers may cost a message all of them; the next one's offset is one more.
        self._offset = headers.get("x-stream-offset", self._offset + 1 if self._offset >= 0 else -1)
        copy = Copy(method.exchange, method.routing_key, body, id_of(properties), self._offset, doubt)
        self._arrived.append((method.delivery_tag, copy))
        self._something.set()


def _ours(closed: Closed, queue: str) -> ProducerError:
    if closed.lost:
        return BrokerUnreachable(
            f"the connection was lost while {queue} was read: {closed}", remedy="nothing was taken away; run it again"
        )
    return closed.as_error()
