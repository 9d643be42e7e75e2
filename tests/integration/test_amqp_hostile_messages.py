"""Messages on a real RabbitMQ whose properties nobody can read: they cost a consumer no connection."""

import asyncio
import struct

from pika import BasicProperties
from pika.spec import Basic

from crawl_producer.amqp import AmqpBroker, open_admin
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


def test_what_cannot_be_read_is_delivered_without_its_properties(rabbit, fresh_vhost):
    connection = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, opening_s=30)

    async def main():
        async with open_admin(connection) as admin, asyncio.timeout(60):
            for thing in (Exchange("x", "fanout"), Queue("q", {"x-queue-type": "quorum"})):
                await admin.declare(thing)
            await admin.bind(Binding("x", "q"))

            async def publish(channel):
                confirms = asyncio.Queue()
                await channel.call(channel.raw.confirm_delivery, confirms.put_nowait)
                for body, properties in (HOSTILE | ODD).items():
                    channel.raw.basic_publish("x", "", body, properties)
                    assert isinstance((await confirms.get()).method, Basic.Ack)

            await admin._link.once(publish)
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
