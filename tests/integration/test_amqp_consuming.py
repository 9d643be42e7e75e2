"""Consuming from a RabbitMQ that loses connections, queues and consumers."""

import asyncio
import os
import random
import socket
from contextlib import suppress

import pytest
import uvloop

from crawl_dev.tcp_proxy import TcpProxy
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing, QueueDepth
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import TopologyMissing
from crawl_producer.topology import Connection
from polling import PATIENCE_S, until


class Stage:
    """A queue ``q`` behind exchange ``x``, a client that publishes directly and one that consumes through a proxy."""

    def __init__(self, rabbit, vhost):
        self.rabbit, self.vhost = rabbit, vhost
        self.proxy = TcpProxy(rabbit.nodes[0].port)
        self.inbox = asyncio.Queue()

    def settings(self, port):
        return Connection(
            nodes=(f"127.0.0.1:{port}",), vhost=self.vhost, retry_first_s=0.05, retry_max_s=0.5, give_up_s=20
        )

    async def declare(self):
        async with open_admin(self.settings(self.rabbit.nodes[0].port)) as admin:
            await admin.declare(Exchange("x", "direct"))
            await admin.declare(Queue("q", {"x-queue-type": "quorum", "x-delivery-limit": 10}))
            await admin.bind(Binding("x", "q", "k"))

    async def next(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.inbox.get()

    async def lose_queue_with_one_in_hand(self, broker):
        await broker.consume("q", prefetch=3, deliver=self.inbox.put_nowait)
        await self.publish("1")
        in_hand = await self.next()
        await asyncio.to_thread(self.rabbit.ctl, "--vhost", self.vhost, "delete_queue", "q")
        await until(lambda: broker.statistics().consumer_cancels == 1)
        return in_hand

    async def publish(self, *ids):
        fates = await self.publisher.publish_all([Outgoing("x", "k", name.encode(), name) for name in ids])
        assert fates == [None] * len(ids)


def play(rabbit, vhost, act):
    """Run ``act(stage, broker)``; returns the depth of ``q`` after the consumer has left."""

    async def run():
        async with asyncio.timeout(90):
            stage = Stage(rabbit, vhost)
            await stage.declare()
            direct = AmqpBroker(stage.settings(rabbit.nodes[0].port), name="publisher")
            async with stage.proxy, direct as stage.publisher:
                async with AmqpBroker(stage.settings(stage.proxy.port), name="consumer") as broker:
                    await act(stage, broker)
                return await stage.publisher.depth("q")

    return uvloop.run(run())


def test_a_stale_acknowledgement_is_not_sent_and_the_message_comes_again(rabbit, fresh_vhost):
    async def act(stage, broker):
        await stage.publish("1", "2", "3")
        await broker.consume("q", prefetch=2, deliver=stage.inbox.put_nowait)
        old = [await stage.next() for _ in range(2)]
        assert old[0].ack()
        old.append(await stage.next())  # so the acknowledgement has arrived
        stage.proxy.cut()
        new = [await stage.next() for _ in range(2)]
        assert [delivery.stale for delivery in old] == [True] * 3
        # Sent on the new channel, these would settle the wrong message (tag 2) or close the channel (tag 3).
        assert [old[1].ack(), old[2].requeue()] == [False, False]
        assert sorted((delivery.body, delivery.redelivered) for delivery in new) == [(b"2", True), (b"3", True)]
        assert [delivery.ack() for delivery in new] == [True, True]
        await stage.publish("4")
        assert (await stage.next()).ack()
        statistics = broker.statistics()
        assert (statistics.acked, statistics.stale_acks, statistics.consumer_cancels) == (4, 2, 0)
        assert statistics.reconnects == 2  # of the publishing and of the consuming connection

    assert play(rabbit, fresh_vhost, act) == QueueDepth(ready=0, consumers=0)


def test_a_queue_that_is_deleted_is_consumed_again_when_it_is_back(rabbit, fresh_vhost, caplog):
    async def act(stage, broker):
        in_hand = await stage.lose_queue_with_one_in_hand(broker)
        with pytest.raises(TopologyMissing):
            await broker.depth("q")
        assert in_hand.ack()  # the queue is gone, its channel is not
        await stage.declare()
        await stage.publish("2", "3")
        for body in (b"2", b"3"):
            delivery = await stage.next()
            assert delivery.body == body
            assert delivery.ack()
        await until(lambda: empty(broker))
        # RabbitMQ 4.0 itself now and then ends a connection whose consumer has lost its queue.
        ended_by_broker = sum("lost: INTERNAL_ERROR" in record.getMessage() for record in caplog.records)
        assert broker.statistics().reconnects == ended_by_broker

    async def empty(broker):
        return await broker.depth("q") == QueueDepth(ready=0, consumers=1)

    play(rabbit, fresh_vhost, act)


def test_what_is_in_hand_of_a_deleted_queue_settles_nothing_of_the_new_one(rabbit, fresh_vhost):
    async def act(stage, broker):
        in_hand = await stage.lose_queue_with_one_in_hand(broker)
        await stage.declare()
        await stage.publish("2")
        assert (await stage.next()).body == b"2"  # the first of its queue, as the other one was
        assert in_hand.stale
        assert not in_hand.ack()

    assert play(rabbit, fresh_vhost, act) == QueueDepth(ready=1, consumers=0)


def test_acknowledgements_in_groups_settle_what_was_settled_and_nothing_else(rabbit, fresh_vhost, caplog):
    chance, names = random.Random(7), [str(n) for n in range(400)]
    acknowledged, left = set(), set()

    async def act(stage, broker):
        subscription = await broker.consume("q", prefetch=64, deliver=stage.inbox.put_nowait)
        await stage.publish(*names)
        in_hand = []
        while len(acknowledged) < 300:
            in_hand.append(await stage.next())
            if len(in_hand) == 40:
                for _ in range(chance.randint(1, 30)):
                    delivery = in_hand.pop(chance.randrange(len(in_hand)))
                    assert delivery.ack()
                    acknowledged.add(delivery.message_id)
        await subscription.cancel()  # while more are on their way
        for delivery in in_hand[::2]:
            assert delivery.ack()
            acknowledged.add(delivery.message_id)
        assert broker.statistics().acked == len(acknowledged)
        # Until the queue has them: a channel that closes forgets what it has not yet told its queue.
        await until(lambda: asyncio.to_thread(has_only_the_rest))

    def has_only_the_rest():
        listed = rabbit.ctl("--vhost", fresh_vhost, "list_queues", "--quiet", "--no-table-headers", "messages")
        return int(listed) == len(names) - len(acknowledged)

    async def rest(stage, broker):
        await broker.consume("q", prefetch=500, deliver=stage.inbox.put_nowait)
        while len(left) < len(names) - len(acknowledged):
            left.add((await stage.next()).message_id)

    depth = play(rabbit, fresh_vhost, act)
    assert depth == QueueDepth(ready=len(names) - len(acknowledged), consumers=0)
    play(rabbit, fresh_vhost, rest)
    assert left == set(names) - acknowledged
    assert "PRECONDITION_FAILED" not in caplog.text


def test_a_queue_that_vanishes_with_the_connection_is_consumed_again_when_it_is_back(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.consume("q", prefetch=3, deliver=stage.inbox.put_nowait)
        await stage.proxy.go()
        await asyncio.to_thread(rabbit.ctl, "--vhost", fresh_vhost, "delete_queue", "q")
        await stage.proxy.come()
        await until(lambda: broker.statistics().reconnects == 2)
        with pytest.raises(TopologyMissing):
            await broker.depth("q")
        await stage.declare()
        await stage.publish("1")
        assert (await stage.next()).ack()

    play(rabbit, fresh_vhost, act)


def test_one_bad_consumer_channel_takes_no_other_down(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait)
        for _ in range(2):
            with pytest.raises(TopologyMissing):
                await broker.consume("nothing", prefetch=1, deliver=stage.inbox.put_nowait)
        await stage.publish("1", "2")
        assert (await stage.next()).ack()
        assert (await stage.next()).ack()
        assert broker.statistics().reconnects == 0

    play(rabbit, fresh_vhost, act)


def test_a_channel_that_the_broker_closes_is_replaced(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait)
        await stage.publish("1")
        delivery = await stage.next()
        # What a forged tag does: 406, unknown delivery tag.
        delivery._settling.channel.raw.basic_ack(999)
        again = await stage.next()
        assert (again.body, again.redelivered, delivery.stale) == (b"1", True, True)
        assert again.ack()
        assert broker.statistics().reconnects == 0

    play(rabbit, fresh_vhost, act)


def test_a_subscription_that_is_cancelled_while_disconnected_stays_cancelled(rabbit, fresh_vhost):
    async def act(stage, broker):
        subscription = await broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait)
        await stage.proxy.go()
        await until(lambda: not broker.statistics().node)
        await subscription.cancel()
        await stage.proxy.come()
        await until(lambda: broker.statistics().reconnects == 2)
        await stage.publish("1")
        assert await broker.depth("q") == QueueDepth(ready=1, consumers=0)

    play(rabbit, fresh_vhost, act)


def test_a_consume_that_is_cancelled_half_way_leaves_no_consumer(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.depth("q")
        stage.proxy.hold()
        beginning = asyncio.create_task(broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait))
        await asyncio.sleep(0.05)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning
        stage.proxy.release()
        await stage.publish("1")
        await until(lambda: left(broker))
        assert stage.inbox.empty()

    async def left(broker):
        return await broker.depth("q") == QueueDepth(ready=1, consumers=0)

    play(rabbit, fresh_vhost, act)


def test_a_consume_that_is_cancelled_at_any_moment_leaves_no_consumer_and_no_channel(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.depth("q")
        for step in range(40):
            beginning = asyncio.create_task(broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait))
            await asyncio.sleep(step / 10_000)
            beginning.cancel()
            with suppress(asyncio.CancelledError):
                await (await beginning).cancel()
                break
        assert step > 3
        await until(lambda: left(broker))
        # One channel stays open for what the consumer that began in time may have in hand.
        channels = (await broker._consuming.wire()).connection._channels
        await until(lambda: len(channels) == 1)

    async def left(broker):
        return await broker.depth("q") == QueueDepth(ready=0, consumers=0)

    play(rabbit, fresh_vhost, act)


def test_unread_ids_and_headers_of_strangers_do_not_break_the_connection(rabbit, fresh_vhost):
    async def act(stage, broker):
        rabbit.nodes[0].management.call(
            "POST",
            f"exchanges/{fresh_vhost}/x/publish",
            {
                "routing_key": "k",
                "payload": "stranger",
                "payload_encoding": "string",
                "properties": {"headers": {"nested": {"list": [1, "two"]}, "ratio": 0.5}},
            },
        )
        await broker.consume("q", prefetch=1, deliver=stage.inbox.put_nowait)
        delivery = await stage.next()
        assert (delivery.body, delivery.message_id) == (b"stranger", "")
        assert delivery.headers["nested"] == {"list": [1, "two"]}
        assert delivery.ack()

    play(rabbit, fresh_vhost, act)


def test_operators_see_which_process_consumes(rabbit, fresh_vhost):
    async def act(stage, broker):
        await broker.consume("q", prefetch=7, deliver=stage.inbox.put_nowait)
        listed = await asyncio.to_thread(rabbit.ctl, "--vhost", fresh_vhost, "list_consumers")
        assert f"q@{socket.gethostname()}:{os.getpid()}" in listed
        assert "\t7\t" in listed

    play(rabbit, fresh_vhost, act)
