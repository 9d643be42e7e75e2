"""Publishing channels without a broker: they say whatever the test wants."""

import asyncio

from pika import BasicProperties, spec

from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.publication import encoded
from crawl_producer.broker import Outgoing


class Raw:
    """What a publisher uses of pika's channel."""

    def __init__(self):
        self.sent = []

    def add_on_return_callback(self, callback):
        self.on_return = callback

    def confirm_delivery(self):
        pass


class FakeChannel:
    def __init__(self):
        self.raw = Raw()
        self.closed = asyncio.get_running_loop().create_future()
        self.abandoned = 0

    @property
    def is_open(self):
        return not self.closed.done()

    async def call(self, _method, on_confirm):
        self.on_confirm = on_confirm

    def publish(self, message):
        assert self.is_open, "RabbitMQ closes the connection for that"
        encoded(message, 1, body_max_bytes=4096)
        self.raw.sent.append(message.message_id)

    def confirm_all(self):
        """Everything that was sent so far; a second confirm of the same says nothing."""
        self.on_confirm(Said(spec.Basic.Ack(len(self.raw.sent), multiple=True)))

    def confirm(self, *tags, nack=False):
        for tag in tags:
            self.on_confirm(Said(spec.Basic.Nack(tag) if nack else spec.Basic.Ack(tag)))

    def give_back(self, name):
        """As the broker does with a mandatory message that no queue wants, before it confirms it."""
        method = spec.Basic.Return(312, "NO_ROUTE", "x", "k")
        self.raw.on_return(self, method, BasicProperties(message_id=name), b"")

    def abandon(self):
        self.abandoned += 1
        if self.is_open:
            self.closed.set_result(Closed(0, "closed by us", lost=False))

    async def close(self):
        self.abandon()


class Said:
    def __init__(self, method):
        self.method = method


class FakeLink:
    blocked = False
    current = None

    def __init__(self):
        self.channels = []
        self.failure = None
        self.most_channels = 1_000_000
        self.denied = 0

    async def channel(self):
        if self.failure is not None:
            raise self.failure
        if len(self.channels) >= self.most_channels:
            self.denied += 1
            assert self.denied < 100, "who asks without a pause does nothing else"
            raise Closed(0, "no free channel numbers", lost=False)
        self.channels.append(FakeChannel())
        return self.channels[-1]


def publishing(publisher, *ids):
    return asyncio.create_task(publisher.publish_all([Outgoing("x", "k", b"", name) for name in ids]))


async def settle_down():
    """Let everything that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)
