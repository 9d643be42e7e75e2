"""What only the in-memory broker can be asked to do: lose its connection, block, give up, delete a queue."""

import asyncio

import pytest

from crawl_producer.broker import Outgoing, QueueDepth
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import BrokerUnreachable, Unconfirmed
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.memory_queue import MemoryQueue, Stored
from crawl_producer.memory_server import MemoryServer


def play(act):
    async def run():
        async with asyncio.timeout(10), MemoryBroker() as broker:
            await broker.declare(Exchange("x", "direct"))
            await declare(broker, "q")
            await act(broker)

    asyncio.run(run())


async def declare(broker, name, **arguments):
    await broker.declare(Queue(name, {key.replace("_", "-"): value for key, value in arguments.items()}))
    await broker.bind(Binding("x", name, name))


def message(body, key="q"):
    return Outgoing("x", key, body, "m")


def test_a_lost_connection_returns_what_is_in_hand_in_its_old_order():
    async def act(broker):
        inbox = asyncio.Queue()
        await broker.consume("q", prefetch=3, deliver=inbox.put_nowait)
        await broker.publish_all([message(b"%d" % n) for n in range(4)])
        old = [await inbox.get() for _ in range(3)]
        old[1].ack()
        broker.lose_connection()
        assert [delivery.stale for delivery in old] == [True, False, True]
        assert (old[0].ack(), old[2].requeue()) == (False, False)
        new = [await inbox.get() for _ in range(3)]
        assert [(d.body, d.redelivered) for d in new] == [(b"0", True), (b"2", True), (b"3", False)]
        assert all(delivery.ack() for delivery in new)
        statistics = broker.statistics()
        assert (statistics.acked, statistics.stale_acks, statistics.reconnects) == (4, 2, 1)

    play(act)


def test_what_is_in_flight_when_the_connection_goes_is_unconfirmed():
    async def act(broker):
        publishing = asyncio.create_task(broker.publish(message(b"")))
        await asyncio.sleep(0)
        assert broker.statistics().unconfirmed == 1
        broker.lose_connection()
        with pytest.raises(Unconfirmed):
            await publishing
        assert broker.statistics().unconfirmed == 0
        await broker.publish(message(b""))

    play(act)


def test_a_deleted_queue_cancels_its_consumer_who_comes_back_with_it():
    async def act(broker):
        inbox = asyncio.Queue()
        await broker.consume("q", prefetch=1, deliver=inbox.put_nowait)
        await broker.publish(message(b"before"))
        in_hand = await inbox.get()
        broker.server.delete_queue("q")
        assert in_hand.ack()
        await declare(broker, "q")
        await broker.publish(message(b"after"))
        assert (await inbox.get()).body == b"after"
        assert broker.statistics().consumer_cancels == 1
        assert await broker.depth("q") == QueueDepth(ready=0, consumers=1)

    play(act)


def test_a_blocked_server_holds_publishers_but_not_acknowledgements():
    async def act(broker):
        inbox = asyncio.Queue()
        await broker.consume("q", prefetch=1, deliver=inbox.put_nowait)
        await broker.publish_all([message(b"1"), message(b"2")])
        broker.server.block()
        publishing = asyncio.create_task(broker.publish(message(b"3")))
        for body in (b"1", b"2"):
            delivery = await inbox.get()
            assert delivery.body == body
            delivery.ack()
        assert not publishing.done()
        broker.server.unblock()
        await publishing
        assert broker.statistics().blocked_s > 0

    play(act)


def test_a_client_that_gives_up_tells_whoever_waits():
    async def act(broker):
        inbox = asyncio.Queue()
        await broker.consume("q", prefetch=1, deliver=inbox.put_nowait)
        await broker.publish(message(b""))
        delivery = await inbox.get()
        failing = asyncio.create_task(broker.failed())
        broker.give_up(BrokerUnreachable("no node answers", remedy="start one"))
        assert isinstance(await failing, BrokerUnreachable)
        assert delivery.stale
        with pytest.raises(BrokerUnreachable):
            await broker.publish(message(b""))
        assert await broker.depth("q") == QueueDepth(ready=1, consumers=0)

    play(act)


def test_clients_share_a_server_and_leave_one_by_one():
    async def run():
        server = MemoryServer()
        async with MemoryBroker(server) as one:
            await one.declare(Exchange("x", "direct"))
            await declare(one, "q")
            async with MemoryBroker(server) as other:
                await other.consume("q", prefetch=1, deliver=lambda _: None)
                await one.publish(message(b""))
                assert (await one.depth("q")).consumers == 1
            assert await one.depth("q") == QueueDepth(ready=1, consumers=0)

    asyncio.run(run())


def test_without_reject_publish_the_oldest_message_makes_room_and_is_dead_lettered():
    async def act(broker):
        await declare(broker, "dead")
        await declare(broker, "short", x_max_length=2, x_dead_letter_exchange="x", x_dead_letter_routing_key="dead")
        assert await broker.publish_all([message(b"%d" % n, "short") for n in range(5)]) == [None] * 5
        inbox = asyncio.Queue()
        await broker.consume("dead", prefetch=9, deliver=inbox.put_nowait)
        assert [(await inbox.get()).body for _ in range(3)] == [b"0", b"1", b"2"]
        assert (await broker.depth("short")).ready == 2

    play(act)


def test_a_dead_letter_without_an_exchange_to_go_to_is_dropped_as_in_rabbitmq():
    async def act(broker):
        await declare(broker, "short", x_max_length=1, x_dead_letter_exchange="nowhere")
        await broker.publish_all([message(b"1", "short"), message(b"2", "short")])
        assert await broker.depth("short") == QueueDepth(ready=1, consumers=0)

    play(act)


def test_round_robin_skips_consumers_whose_hands_are_full():
    async def act(broker):
        busy, idle = asyncio.Queue(), asyncio.Queue()
        await broker.consume("q", prefetch=1, deliver=busy.put_nowait)
        await broker.consume("q", prefetch=9, deliver=idle.put_nowait)
        await broker.publish_all([message(b"%d" % n) for n in range(6)])
        assert [(await idle.get()).body for _ in range(5)]
        assert busy.qsize() == 1

    play(act)


def test_what_it_holds_can_be_read_in_a_log():
    async def act(broker):
        await broker.publish(message(b""))
        assert "q: 1 ready" in repr(broker)

    play(act)


def test_a_timer_that_comes_a_hair_early_leaves_no_message_behind():
    async def story():
        buried = []
        declaration = Queue("q", {"x-message-ttl": 5, "x-dead-letter-exchange": "x"})
        queue = MemoryQueue(declaration, lambda *dead: buried.append(dead))
        queue.put(Stored("k", b"", "id", {}))
        queue.ready[0].expires_s = asyncio.get_running_loop().time() + 1e-9
        queue._expire()
        assert len(buried) == 1

    asyncio.run(story())
