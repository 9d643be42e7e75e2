"""A URL message that comes back too often is a dead letter: kept once, whatever gave it back, on every RabbitMQ."""

import asyncio
from collections import Counter

import pytest
import uvloop

from crawl_dev.tcp_proxy import TcpProxy
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing, QueueDepth
from crawl_producer.dead_letters import Letter
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.derive import declarations
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Connection, Topology
from dead_kit import body
from polling import until

#: Above the 20 that RabbitMQ 4 allows a queue by itself: the queue's own limit is what counts.
LIMIT = 23
MESSAGES = 20
TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {"q": {"crawl": "c", "delivery_limit": LIMIT, "bindings": [{"exchange": "x", "key": "k"}]}},
        "crawls": {"c": {"exchange": "x", "key": "k"}},
    }
)


class Consumer:
    """A consumer that takes all messages into its hands and then gives them back, in one way or another."""

    def __init__(self, broker, proxy):
        self._broker, self._proxy = broker, proxy
        self._inbox = asyncio.Queue()
        self._subscription = None
        self._held = []
        self.taken = Counter()

    async def subscribe(self):
        self._subscription = await self._broker.consume("q", prefetch=MESSAGES, deliver=self._inbox.put_nowait)

    async def take_all(self):
        self._held = [await self._inbox.get() for _ in range(MESSAGES)]
        self.taken.update(delivery.message_id for delivery in self._held)

    async def refuse(self):
        for delivery in self._held:
            delivery.requeue()

    async def close_its_channel(self):
        await self._subscription.close()
        await self.subscribe()

    async def lose_its_connection(self):
        self._proxy.cut()


def play(rabbit, vhost, act):
    """Run ``act(publisher, consumer)``, where the consumer's connections go through the proxy."""

    def settings(port):
        return Connection(nodes=(f"127.0.0.1:{port}",), vhost=vhost, retry_first_s=0.01, retry_max_s=0.05, give_up_s=5)

    async def run():
        async with asyncio.timeout(90), TcpProxy(rabbit.nodes[0].port) as proxy:
            direct = settings(rabbit.nodes[0].port)
            async with open_admin(direct) as admin:
                await apply(await plan(declarations(TOPOLOGY), admin), admin)
            broker = AmqpBroker(settings(proxy.port), name="consumer")
            async with AmqpBroker(direct, name="publisher") as publisher, broker:
                await act(publisher, Consumer(broker, proxy))

    uvloop.run(run())


@pytest.mark.parametrize("give_back", [Consumer.refuse, Consumer.close_its_channel, Consumer.lose_its_connection])
def test_what_comes_back_too_often_is_kept_as_a_dead_letter_once(rabbit, fresh_vhost, give_back):
    async def act(publisher, consumer):
        ids = {f"id-{n}" for n in range(MESSAGES)}
        messages = [Outgoing("x", "k", body(n), f"id-{n}") for n in range(MESSAGES)]
        assert await publisher.publish_all(messages) == [None] * MESSAGES
        await consumer.subscribe()
        for _ in range(LIMIT + 1):
            await consumer.take_all()
            await give_back(consumer)
        await until(lambda: all_are_dead(publisher))
        assert consumer.taken == dict.fromkeys(ids, LIMIT + 1)
        async with DeadQueue(publisher, "q") as source:
            letters = [(delivery.message_id, Letter.of(delivery, queue="q", crawl="c")) async for delivery in source]
        assert sorted(name for name, _ in letters) == sorted(ids)
        assert {letter.reason for _, letter in letters} == {"delivery_limit"}

    async def all_are_dead(publisher):
        return await publisher.depth("dead.q") == QueueDepth(ready=MESSAGES, consumers=0)

    play(rabbit, fresh_vhost, act)
