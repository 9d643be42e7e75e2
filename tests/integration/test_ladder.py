"""The ladder of delays in a real RabbitMQ: thousands of parked messages come back, each once, to their own queue."""

import asyncio
import random
import time
from collections import Counter

import pytest

from crawl_producer import names
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing
from crawl_producer.derive import declarations
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Connection, Topology
from polling import until

MESSAGES = 3000
QUEUES = ("news.front", "news.articles", "docs.pages")
#: Short rungs: what is tried is their mixing, not patience.
RUNGS_MS = (250, 500, 1000, 2000)
#: Deleting a queue takes rabbitmqctl a second or two, on a busy machine more.
LONGER_THAN_RABBITMQCTL_MS = 8000
TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {q: {"crawl": "c", "bindings": [{"exchange": "x", "key": q}]} for q in QUEUES},
        "crawls": {"c": {"exchange": "x", "key": QUEUES[0]}},
    }
)


@pytest.fixture
def connection(rabbit, fresh_vhost):
    return Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, give_up_s=5)


def play(connection, act):
    async def run():
        async with asyncio.timeout(100):
            async with open_admin(connection, name="ladder") as admin:
                await apply(await plan(declarations(TOPOLOGY), admin), admin)
            async with AmqpBroker(connection, name="ladder") as broker:
                await act(broker)

    asyncio.run(run())


def parked(count):
    """Messages of every rung and queue, well shuffled, and where each must come back to."""
    messages, home = [], {}
    for n in range(count):
        queue, rung_ms = QUEUES[n % len(QUEUES)], RUNGS_MS[n % len(RUNGS_MS)]
        messages.append(Outgoing(names.delay_exchange(rung_ms), queue, b"%d" % rung_ms, f"{n}"))
        home[f"{n}"] = names.due_queue(queue)
    random.Random(7).shuffle(messages)
    return messages, home


class Homecoming:
    """Everything that comes out of some queues, acknowledged, with the time of its arrival."""

    def __init__(self):
        self.came = []

    def __call__(self, delivery):
        self.came.append((delivery.message_id, delivery.queue, int(delivery.body), time.monotonic()))
        delivery.ack()


def test_parked_messages_of_mixed_delays_come_back_to_their_own_queue_each_once_and_not_early(connection):
    async def act(broker):
        messages, home = parked(MESSAGES)
        homecoming = Homecoming()
        for queue in QUEUES:
            await broker.consume(names.due_queue(queue), prefetch=500, deliver=homecoming)
        before_s = time.monotonic()
        assert await broker.publish_all(messages) == [None] * MESSAGES
        await until(lambda: len(homecoming.came) >= MESSAGES)
        assert {message_id: queue for message_id, queue, _, _ in homecoming.came} == home
        assert len(homecoming.came) == MESSAGES
        assert all(at_s - before_s >= rung_ms / 1000 for _, _, rung_ms, at_s in homecoming.came)
        assert await left_in_the_ladder(broker) == 0

    play(connection, act)


def test_a_message_may_hop_again_and_again(connection):
    async def act(broker):
        arrived = asyncio.Queue()
        await broker.consume("docs.pages.due", prefetch=10, deliver=arrived.put_nowait)
        for hop in range(5):
            await broker.publish(Outgoing(names.delay_exchange(250), "docs.pages", b"%d" % hop, "same"))
            delivery = await arrived.get()
            assert delivery.body == b"%d" % hop
            delivery.ack()

    play(connection, act)


def test_what_waits_for_a_removed_queue_ends_in_unrouted_and_holds_up_nobody(connection, rabbit, fresh_vhost):
    async def act(broker):
        # All in one rung, the doomed ones first: a rung that were stuck with them would hold the others up.
        rung = names.delay_exchange(LONGER_THAN_RABBITMQCTL_MS)
        doomed = [Outgoing(rung, "news.front", b"0", f"doomed-{n}") for n in range(200)]
        others = [Outgoing(rung, "docs.pages", b"0", f"other-{n}") for n in range(200)]
        assert await broker.publish_all([*doomed, *others]) == [None] * 400
        await asyncio.to_thread(rabbit.ctl, "--vhost", fresh_vhost, "delete_queue", names.due_queue("news.front"))
        homecoming, basin = Homecoming(), Homecoming()
        await broker.consume(names.due_queue("docs.pages"), prefetch=500, deliver=homecoming)
        await broker.consume(names.UNROUTED, prefetch=500, deliver=basin)
        await until(lambda: len(homecoming.came) + len(basin.came) >= 400)
        assert Counter(message_id for message_id, _, _, _ in basin.came) == {m.message_id: 1 for m in doomed}
        assert Counter(message_id for message_id, _, _, _ in homecoming.came) == {m.message_id: 1 for m in others}
        assert await left_in_the_ladder(broker) == 0

    play(connection, act)


async def left_in_the_ladder(broker):
    depths = [await broker.depth(names.delay_queue(rung_ms)) for rung_ms in names.DELAYS_MS]
    return sum(depth.ready for depth in depths)
