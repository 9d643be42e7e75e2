"""Messages on a real RabbitMQ whose properties nobody can read: they cost a consumer no connection."""

import asyncio
import struct

import pytest
from pika import BasicProperties
from pika.spec import Basic

from crawl_producer.amqp import AmqpBroker, open_admin, open_stream
from crawl_producer.amqp.frames import UNREADABLE
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.topology import Connection


class RawHeaders(BasicProperties):
    """A table of headers, byte for byte."""

    def __init__(self, table):
        super().__init__()
        self._table = table

    def encode(self):
        return [struct.pack(">HI", self.FLAG_HEADERS, len(self._table)), self._table]


def nested(depth):
    value = b"V"
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


HOSTILE = {
    b"the year 33658": RawHeaders(b"\x01a" + b"T" + struct.pack(">Q", 10**12)),
    b"no time at all": RawHeaders(b"\x01a" + b"T" + struct.pack(">Q", 1 << 63)),
    b"deep": RawHeaders(b"\x01a" + nested(3_000)),
}
ODD = {
    b"an id of bytes": BasicProperties(message_id=b"\xff" * 255),
    b"a type of bytes": BasicProperties(content_type=b"\xff\x00", content_encoding="x" * 255, priority=255),
    b"many headers": BasicProperties(headers={f"h{n}": "x" * 100 for n in range(500)}),
    b"our headers": BasicProperties(headers={"x-death": "no list", "x-delivery-count": "many", "crawl-mac": 7}),
}


async def publish(admin, messages):
    async def send(channel):
        confirms = asyncio.Queue()
        await channel.call(channel.raw.confirm_delivery, confirms.put_nowait)
        for body, properties in messages.items():
            channel.raw.basic_publish("x", "", body, properties)
            assert isinstance((await confirms.get()).method, Basic.Ack)

    await admin._link.once(send)


def test_what_cannot_be_read_is_delivered_without_its_properties(rabbit, fresh_vhost):
    connection = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, opening_s=30)

    async def main():
        async with open_admin(connection) as admin, asyncio.timeout(60):
            for thing in (Exchange("x", "fanout"), Queue("q", {"x-queue-type": "quorum"})):
                await admin.declare(thing)
            await admin.bind(Binding("x", "q"))

            await publish(admin, HOSTILE | ODD)
            arrived = asyncio.Queue()
            async with AmqpBroker(connection, name="tests") as broker:
                await broker.consume("q", prefetch=100, deliver=arrived.put_nowait)
                came = [await arrived.get() for _ in HOSTILE | ODD]
                for delivery in came:
                    assert (list(delivery.headers) == [UNREADABLE]) == (delivery.body in HOSTILE)
                    # Whatever its id is, it can be an id again.
                    await broker.publish(Outgoing("x", "", b"again", delivery.message_id))
                    assert delivery.ack()
                assert {(await arrived.get()).body for _ in came} == {b"again"}
                assert broker.statistics().reconnects == 0
            assert {delivery.body for delivery in came} == set(HOSTILE | ODD)

    asyncio.run(main())


#: A stream keeps no headers of the other ones.
YEAR = next(iter(HOSTILE))


@pytest.mark.parametrize(
    "order", [[b"a", b"b", YEAR], [b"a", YEAR, YEAR], [YEAR, b"a"], [YEAR, YEAR], [b"a", YEAR, b"b"]], ids=str
)
def test_a_stream_is_read_to_its_end_whoever_wrote_the_last_message(rabbit, fresh_vhost, order):
    connection = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, opening_s=30)

    async def main():
        async with open_admin(connection) as admin, asyncio.timeout(60):
            for thing in (Exchange("x", "fanout"), Queue("s", {"x-queue-type": "stream"})):
                await admin.declare(thing)
            await admin.bind(Binding("x", "s"))
            for body in order:
                await publish(admin, {body: HOSTILE.get(body, BasicProperties())})  # each a chunk of its own
        async with open_stream(connection, "s", name="tests") as reader:
            return [copy.body async for copy in reader]

    assert asyncio.run(main()) == order
