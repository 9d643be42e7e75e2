"""Dead letters in a real RabbitMQ: more than one channel takes, and those that the broker itself has buried."""

import asyncio

import pytest

from crawl_producer import names
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing, QueueDepth
from crawl_producer.dead_letters import Letter
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.derive import declarations
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Connection, Topology
from dead_kit import body, letter
from polling import until

LETTERS = 450
WINDOW = 100


@pytest.fixture
def connection(rabbit, fresh_vhost):
    return Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, give_up_s=5)


def topology():
    return Topology.model_validate(
        {
            "exchanges": {"x": {"type": "direct"}},
            "queues": {"q": {"crawl": "c", "delivery_limit": 1, "bindings": [{"exchange": "x", "key": "k"}]}},
            "crawls": {"c": {"exchange": "x", "key": "k"}},
        }
    )


def numbers(ids):
    return sorted(int(message_id.removeprefix("id-")) for message_id in ids)


def play(connection, act):
    async def run():
        async with asyncio.timeout(60):
            async with open_admin(connection, name="dead") as admin:
                await apply(await plan(declarations(topology()), admin), admin)
            async with AmqpBroker(connection, name="dead") as broker:
                await act(broker)

    asyncio.run(run())


def test_a_pass_holds_any_number_of_letters_and_gives_all_back(connection):
    async def act(broker):
        await broker.publish_all([letter(n) for n in range(LETTERS)])
        for _ in range(3):
            async with DeadQueue(broker, "q", window=WINDOW) as source:
                assert numbers([delivery.message_id async for delivery in source]) == list(range(LETTERS))
                assert (await broker.depth("dead.q")).ready == 0
            assert await broker.depth("dead.q") == QueueDepth(ready=LETTERS, consumers=0)

    play(connection, act)


def test_letters_that_one_channel_takes_keep_their_order(connection):
    async def act(broker):
        await broker.publish_all([letter(n) for n in range(WINDOW)])
        for _ in range(3):
            async with DeadQueue(broker, "q", window=WINDOW) as source:
                assert [delivery.message_id async for delivery in source] == [f"id-{n}" for n in range(WINDOW)]

    play(connection, act)


def test_what_is_taken_is_gone_for_good_and_the_rest_is_back(connection):
    async def act(broker):
        await broker.publish_all([letter(n) for n in range(LETTERS)])
        async with DeadQueue(broker, "q", window=WINDOW) as source:
            async for delivery in source:
                if int(delivery.message_id.removeprefix("id-")) % 3:
                    source.take(delivery)
        assert source.taken == LETTERS * 2 // 3
        async with DeadQueue(broker, "q", window=WINDOW) as source:
            left = [delivery.message_id async for delivery in source]
        assert numbers(left) == list(range(0, LETTERS, 3))

    play(connection, act)


def test_two_passes_at_once_share_the_letters_and_both_end(connection):
    async def act(broker):
        async def read():
            async with DeadQueue(broker, "q", window=WINDOW) as source:
                seen = []
                async for delivery in source:
                    seen.append(delivery.message_id)
                    await asyncio.sleep(0)
                both_read.release()
                await all_read.wait()
                return seen

        await broker.publish_all([letter(n) for n in range(LETTERS)])
        both_read, all_read = asyncio.Semaphore(0), asyncio.Event()
        passes = [asyncio.create_task(read()) for _ in range(2)]
        for _ in passes:
            await both_read.acquire()
        all_read.set()
        one, other = await asyncio.gather(*passes)
        assert numbers(one + other) == list(range(LETTERS))
        await until(lambda: all_are_back(broker))

    async def all_are_back(broker):
        return (await broker.depth("dead.q")).ready == LETTERS

    play(connection, act)


async def returned_until_it_dies(broker, queue):
    """Take the message and give it back, as consumers do that die with it in hand."""
    arrived = asyncio.Queue()

    async def arrived_or_dead():
        return not arrived.empty() or (await broker.depth("dead.q")).ready

    while (await broker.depth("dead.q")).ready == 0:
        subscription = await broker.consume(queue, prefetch=1, deliver=arrived.put_nowait)
        await until(arrived_or_dead)
        await subscription.close()
        while not arrived.empty():
            arrived.get_nowait()


@pytest.mark.parametrize("hop", [False, True], ids=["from its queue", "after a hop on the ladder"])
def test_a_victim_of_the_delivery_limit_tells_so_and_when(connection, hop):
    async def act(broker):
        exchange = names.delay_exchange(250) if hop else "x"
        queue = "q.due" if hop else "q"
        await broker.publish(Outgoing(exchange, "q" if hop else "k", body(1, attempt=2), "id-1"))
        await returned_until_it_dies(broker, queue)
        async with DeadQueue(broker, "q") as source:
            (told,) = [Letter.of(delivery, queue="q", crawl="c") async for delivery in source]
        assert (told.reason, told.outcome, told.attempts) == ("delivery_limit", "", 2)
        assert told.died_ms is not None
        assert told.message.attempt == 2

    play(connection, act)
