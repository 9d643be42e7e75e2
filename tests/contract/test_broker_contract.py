"""What every broker must do: one suite, once in memory and once against RabbitMQ."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing, QueueDepth
from crawl_producer.declarations import Binding, Exchange, Queue, State
from crawl_producer.errors import PublishRefused, TopologyDrift, TopologyMissing, Unconfirmed, Unroutable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.memory_server import MemoryServer
from crawl_producer.topology import Connection
from polling import PATIENCE_S, until


class MemoryWorld:
    def __init__(self):
        self.server = MemoryServer()

    def broker(self):
        return MemoryBroker(self.server)

    @asynccontextmanager
    async def admin(self):
        yield MemoryBroker(self.server)


class RabbitWorld:
    def __init__(self, rabbit, vhost):
        self.settings = Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=vhost, give_up_s=5)

    def broker(self):
        return AmqpBroker(self.settings, name="contract")

    def admin(self):
        return open_admin(self.settings, name="contract")


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.servers)])
def world(request):
    if request.param == "memory":
        return MemoryWorld()
    return RabbitWorld(request.getfixturevalue("rabbit"), request.getfixturevalue("fresh_vhost"))


class Scene:
    """A broker, its admin, and a queue ``q`` bound to the direct exchange ``x`` under ``k``."""

    def __init__(self, world, stack):
        self.world, self.stack = world, stack

    async def client(self):
        return await self.stack.enter_async_context(self.world.broker())

    async def queue(self, name, bindings=(), **arguments):
        quorum = {"x-queue-type": "quorum"}
        await self.admin.declare(Queue(name, quorum | {k.replace("_", "-"): v for k, v in arguments.items()}))
        for exchange, key in bindings:
            await self.admin.bind(Binding(exchange, name, key))

    async def drained(self, queue, count):
        """The bodies of the next ``count`` messages, acknowledged."""
        inbox = Inbox()
        subscription = await self.broker.consume(queue, prefetch=10, deliver=inbox)
        bodies = []
        for _ in range(count):
            delivery = await inbox.next()
            assert delivery.ack()
            bodies.append(delivery.body)
        await subscription.cancel()
        return bodies


class Inbox:
    def __init__(self):
        self.deliveries = asyncio.Queue()

    def __call__(self, delivery):
        self.deliveries.put_nowait(delivery)

    async def next(self):
        async with asyncio.timeout(PATIENCE_S):
            return await self.deliveries.get()

    async def take(self, count):
        return [await self.next() for _ in range(count)]

    @property
    def empty(self):
        return self.deliveries.empty()


def play(world, act):
    """Run ``act(scene)`` on a fresh scene."""

    async def run():
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            scene = Scene(world, stack)
            scene.admin = await stack.enter_async_context(world.admin())
            await scene.admin.declare(Exchange("x", "direct"))
            await scene.queue("q", [("x", "k")])
            scene.broker = await scene.client()
            await act(scene)

    asyncio.run(run())


def message(body=b"hello", key="k", exchange="x", message_id="m", **headers):
    return Outgoing(exchange, key, body, message_id, headers)


async def depth_becomes(broker, queue, depth):
    """Acknowledgements have no answer, so a queue's depth follows them a little later."""

    async def become():
        return await broker.depth(queue) == depth

    await until(become)


def test_a_confirmed_message_is_delivered_as_it_was_published(world):
    async def act(scene):
        sent = message(b"\x00\xff body", message_id="id-1", text="grün", number=-5, large=1 << 40)
        await scene.broker.publish(sent)
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=1, deliver=inbox)
        delivery = await inbox.next()
        assert (delivery.queue, delivery.body, delivery.message_id) == ("q", sent.body, "id-1")
        assert dict(delivery.headers) == {"text": "grün", "number": -5, "large": 1 << 40}
        assert (delivery.redelivered, delivery.stale) == (False, False)
        assert delivery.ack()
        await depth_becomes(scene.broker, "q", QueueDepth(ready=0, consumers=1))

    play(world, act)


def test_an_empty_body_and_an_empty_id_are_carried_too(world):
    async def act(scene):
        await scene.broker.publish(message(b"", message_id=""))
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=1, deliver=inbox)
        delivery = await inbox.next()
        assert (delivery.body, delivery.message_id, dict(delivery.headers)) == (b"", "", {})
        delivery.ack()

    play(world, act)


def test_a_message_that_no_queue_wants_is_unroutable_and_names_exchange_and_key(world):
    async def act(scene):
        with pytest.raises(Unroutable, match=r"'x', key 'nobody'"):
            await scene.broker.publish(message(key="nobody"))
        statistics = scene.broker.statistics()
        assert (statistics.published, statistics.returned, statistics.confirmed) == (1, 1, 0)

    play(world, act)


def test_an_exchange_that_does_not_exist_is_missing_topology_and_publishing_goes_on(world):
    async def act(scene):
        for _ in range(2):
            with pytest.raises(TopologyMissing, match="nowhere"):
                await scene.broker.publish(message(exchange="nowhere"))
        await scene.broker.publish(message())
        assert await scene.drained("q", 1) == [b"hello"]

    play(world, act)


def test_a_batch_tells_each_messages_fate(world):
    async def act(scene):
        batch = [message(message_id="1"), message(key="nobody", message_id="2"), message(message_id="3")]
        fates = await scene.broker.publish_all(batch)
        assert [type(fate) for fate in fates] == [type(None), Unroutable, type(None)]
        assert await scene.broker.publish_all([]) == []
        assert len(await scene.drained("q", 2)) == 2

    play(world, act)


def test_a_batch_with_a_missing_exchange_raises(world):
    async def act(scene):
        with pytest.raises(TopologyMissing, match="nowhere"):
            await scene.broker.publish_all([message(exchange="nowhere", message_id="1")])

    play(world, act)


def test_returns_find_their_message_even_when_ids_repeat(world):
    async def act(scene):
        batch = [message(key=key, message_id="same") for key in ("k", "nobody", "k", "nobody", "k") * 20]
        fates = await scene.broker.publish_all(batch)
        assert [type(fate) for fate in fates] == [type(None), Unroutable, type(None), Unroutable, type(None)] * 20

    play(world, act)


def test_a_batch_larger_than_any_window_is_confirmed_whole(world):
    async def act(scene):
        fates = await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(2_000)])
        assert fates == [None] * 2_000
        assert sorted(map(int, await scene.drained("q", 2_000))) == list(range(2_000))
        assert scene.broker.statistics().confirmed == 2_000
        assert scene.broker.statistics().unconfirmed == 0

    play(world, act)


def test_many_tasks_publish_at_once(world):
    async def act(scene):
        await asyncio.gather(*(scene.broker.publish(message(b"%d" % n, message_id=str(n))) for n in range(1_000)))
        assert sorted(map(int, await scene.drained("q", 1_000))) == list(range(1_000))

    play(world, act)


@pytest.mark.parametrize(
    "bad",
    [
        message(key="k" * 256),
        message(message_id="i" * 256),
        message(ratio=0.5),
        message(huge=1 << 63),
        message(**{"n" * 256: 1}),
    ],
    ids=["key", "id", "float header", "huge header", "header name"],
)
def test_what_amqp_cannot_carry_is_an_error_of_the_caller_only(world, bad):
    async def act(scene):
        good = asyncio.create_task(scene.broker.publish(message()))
        with pytest.raises(ValueError):
            await scene.broker.publish(bad)
        await good
        await scene.broker.publish(message())
        assert len(await scene.drained("q", 2)) == 2

    play(world, act)


def test_a_cancelled_publisher_leaves_the_others_confirmed(world):
    async def act(scene):
        tasks = [asyncio.create_task(scene.broker.publish(message(message_id=str(n)))) for n in range(1_000)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1::2] == [None] * 500
        assert await scene.broker.publish_all([message(message_id="after")]) == [None]

    play(world, act)


def test_a_full_queue_refuses_and_takes_again_when_there_is_room(world):
    async def act(scene):
        await scene.queue("small", [("x", "s")], x_max_length=3, x_overflow="reject-publish")
        refused = 0
        # RabbitMQ's quorum queues overshoot a little before they refuse.
        while not refused and scene.broker.statistics().published < 1_000:
            fates = await scene.broker.publish_all([message(key="s", message_id=str(n)) for n in range(50)])
            refused = sum(isinstance(fate, PublishRefused) for fate in fates)
        assert refused
        assert scene.broker.statistics().nacked == refused
        held = (await scene.broker.depth("small")).ready
        await scene.drained("small", held)

        async def accepted():
            return await scene.broker.publish_all([message(key="s")]) == [None]

        await until(accepted)

    play(world, act)


def test_a_queue_with_max_priority_hands_out_higher_ones_first_and_others_do_not_look(world):
    async def story(scene):
        await scene.queue("p", [("x", "p")], x_queue_type="classic", x_max_priority=5)
        await scene.queue("plain", [("x", "plain")])
        for key in ("p", "plain"):
            sent = [
                Outgoing("x", key, body, "id", priority=p)
                for body, p in ((b"0", None), (b"2", 2), (b"9", 9), (b"5", 5))
            ]
            assert await scene.broker.publish_all(sent) == [None] * 4
        assert await scene.drained("p", 4) == [b"9", b"5", b"2", b"0"]
        assert sorted(await scene.drained("plain", 4)) == [b"0", b"2", b"5", b"9"]

    play(world, story)


def test_prefetch_bounds_what_is_in_hand_and_an_ack_brings_the_next(world):
    async def act(scene):
        await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(6)])
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=2, deliver=inbox)
        first, second = await inbox.take(2)
        await depth_becomes(scene.broker, "q", QueueDepth(ready=4, consumers=1))
        assert inbox.empty
        second.ack()
        third = await inbox.next()
        assert [d.body for d in (first, second, third)] == [b"0", b"1", b"2"]

    play(world, act)


def test_a_second_settlement_is_refused_and_does_no_harm(world):
    async def act(scene):
        await scene.broker.publish_all([message(message_id="1"), message(message_id="2")])
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=1, deliver=inbox)
        first = await inbox.next()
        first.ack()
        for again in (first.ack, first.requeue):
            with pytest.raises(RuntimeError, match="settled"):
                again()
        assert (await inbox.next()).ack()

    play(world, act)


def test_a_requeued_message_comes_again_and_says_so(world):
    async def act(scene):
        await scene.broker.publish(message())
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=1, deliver=inbox)
        first = await inbox.next()
        assert first.requeue()
        again = await inbox.next()
        assert (first.redelivered, again.redelivered) == (False, True)
        assert again.body == first.body
        again.ack()

    play(world, act)


def test_a_message_returned_too_often_becomes_a_dead_letter(world):
    async def act(scene):
        await scene.admin.declare(Exchange("dead", "direct"))
        await scene.queue("graves", [("dead", "fragile")])
        await scene.queue(
            "fragile",
            [("x", "f")],
            x_delivery_limit=2,
            x_dead_letter_exchange="dead",
            x_dead_letter_routing_key="fragile",
        )
        await scene.broker.publish(message(b"poison", key="f"))
        inbox, graves = Inbox(), Inbox()
        await scene.broker.consume("graves", prefetch=1, deliver=graves)
        await scene.broker.consume("fragile", prefetch=1, deliver=inbox)
        for _ in range(3):
            (await inbox.next()).requeue()
        assert (await graves.next()).body == b"poison"
        assert inbox.empty

    play(world, act)


def test_consumers_share_a_queue(world):
    async def act(scene):
        left, right = Inbox(), Inbox()
        other = await scene.client()
        await scene.broker.consume("q", prefetch=3, deliver=left)
        await other.consume("q", prefetch=3, deliver=right)
        await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(6)])
        bodies = {delivery.body for delivery in await left.take(3) + await right.take(3)}
        assert bodies == {b"%d" % n for n in range(6)}

    play(world, act)


def test_a_cancelled_subscription_gets_no_more_but_settles_what_it_has(world):
    async def act(scene):
        await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(4)])
        inbox = Inbox()
        subscription = await scene.broker.consume("q", prefetch=2, deliver=inbox)
        in_hand = await inbox.take(2)
        await subscription.cancel()
        await subscription.cancel()
        assert subscription.queue == "q"
        assert all(delivery.ack() for delivery in in_hand)
        await depth_becomes(scene.broker, "q", QueueDepth(ready=2, consumers=0))
        assert inbox.empty

    play(world, act)


def test_a_closed_subscription_gives_back_what_is_not_settled_in_the_old_order(world):
    async def act(scene):
        await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(6)])
        inbox = Inbox()
        subscription = await scene.broker.consume("q", prefetch=4, deliver=inbox)
        first, *others = await inbox.take(4)
        assert first.ack()
        others.append(await inbox.next())
        await subscription.close()
        assert [other.stale for other in others] == [True] * 4
        assert not others[0].ack()
        await depth_becomes(scene.broker, "q", QueueDepth(ready=5, consumers=0))
        await subscription.close()
        await subscription.cancel()
        assert await scene.drained("q", 5) == [b"%d" % n for n in range(1, 6)]

    play(world, act)


def test_what_is_not_settled_when_the_client_closes_returns_and_is_stale(world):
    async def act(scene):
        await scene.broker.publish_all([message(b"%d" % n, message_id=str(n)) for n in range(3)])
        inbox = Inbox()
        async with scene.world.broker() as leaver:
            await leaver.consume("q", prefetch=3, deliver=inbox)
            done, *kept = await inbox.take(3)
            done.ack()
        assert [delivery.stale for delivery in kept] == [True, True]
        assert [kept[0].ack(), kept[1].requeue()] == [False, False]
        assert leaver.statistics().stale_acks == 2
        heir = Inbox()
        await scene.broker.consume("q", prefetch=3, deliver=heir)
        inherited = await heir.take(2)
        assert [(delivery.body, delivery.redelivered) for delivery in inherited] == [(b"1", True), (b"2", True)]

    play(world, act)


def test_a_receiver_that_raises_harms_nobody_else(world, caplog):
    async def act(scene):
        inbox = Inbox()

        def deliver(delivery):
            if delivery.body == b"bad":
                raise LookupError("a defect")
            inbox(delivery)

        await scene.broker.consume("q", prefetch=10, deliver=deliver)
        await scene.broker.publish_all([message(b"bad", message_id="1"), message(b"good", message_id="2")])
        assert (await inbox.next()).ack()
        assert scene.broker.statistics().reconnects == 0

    play(world, act)
    assert "a defect" in caplog.text


def test_consuming_or_asking_for_a_queue_that_does_not_exist_is_missing_topology(world):
    async def act(scene):
        with pytest.raises(TopologyMissing, match="nothing"):
            await scene.broker.consume("nothing", prefetch=1, deliver=Inbox())
        with pytest.raises(TopologyMissing, match="nothing"):
            await scene.broker.depth("nothing")
        assert await scene.broker.depth("q") == QueueDepth(ready=0, consumers=0)

    play(world, act)


def test_a_closed_client_publishes_no_more(world):
    async def act(scene):
        async with scene.world.broker() as gone:
            pass
        with pytest.raises(Unconfirmed, match="closed"):
            await gone.publish(message())

    play(world, act)


def test_exchanges_route_by_their_types(world):
    async def act(scene):
        declare, bind = scene.admin.declare, scene.admin.bind
        for kind in ("topic", "fanout", "headers"):
            await declare(Exchange(kind, kind))
        await scene.queue("one", [("topic", "a.*"), ("topic", "*.b"), ("fanout", "")])
        await scene.queue("many", [("topic", "a.#"), ("fanout", "ignored")])
        await bind(Binding("headers", "one", arguments={"x-match": "all", "lane": "fast", "level": 3}))
        await bind(Binding("headers", "many", arguments={"x-match": "any", "lane": "fast", "level": 3}))
        await scene.broker.publish_all(
            [
                message(b"1", "a.b", "topic", "1"),
                message(b"2", "a", "topic", "2"),
                message(b"3", "c.b", "topic", "3"),
                message(b"4", "what", "fanout", "4"),
                message(b"5", "", "headers", "5", lane="fast", level=3),
                message(b"6", "", "headers", "6", lane="slow", level=3),
            ]
        )
        assert sorted(await scene.drained("one", 4)) == [b"1", b"3", b"4", b"5"]
        assert sorted(await scene.drained("many", 5)) == [b"1", b"2", b"4", b"5", b"6"]
        for nobody in (message(b"", "z", "topic"), message(b"", "", "headers", lane="slow")):
            with pytest.raises(Unroutable):
                await scene.broker.publish(nobody)

    play(world, act)


def test_exchanges_route_to_exchanges_and_circles_end(world):
    async def act(scene):
        await scene.admin.declare(Exchange("front", "topic"))
        await scene.admin.bind(Binding("front", "x", "#", to_exchange=True))
        await scene.admin.bind(Binding("x", "front", "k", to_exchange=True))
        await scene.broker.publish(message(b"once", exchange="front"))
        assert await scene.drained("q", 1) == [b"once"]
        assert await scene.broker.depth("q") == QueueDepth(ready=0, consumers=0)

    play(world, act)


def test_an_alternate_exchange_gets_what_nobody_wants(world):
    async def act(scene):
        await scene.admin.declare(Exchange("rest", "fanout"))
        await scene.admin.declare(Exchange("main", "direct", {"alternate-exchange": "rest"}))
        await scene.queue("leftovers", [("rest", "")])
        await scene.admin.bind(Binding("main", "q", "k"))
        await scene.broker.publish(message(b"wanted", "k", "main"))
        await scene.broker.publish(message(b"unwanted", "else", "main"))
        assert await scene.drained("q", 1) == [b"wanted"]
        assert await scene.drained("leftovers", 1) == [b"unwanted"]

    play(world, act)


def test_a_delay_queue_hands_back_by_the_messages_own_key_again_and_again(world):
    async def act(scene):
        await scene.admin.declare(Exchange("wait", "fanout"))
        await scene.admin.declare(Exchange("back", "direct"))
        await scene.admin.bind(Binding("back", "q", "q"))
        await scene.queue("wait", [("wait", "")], x_message_ttl=50, x_dead_letter_exchange="back")
        inbox = Inbox()
        await scene.broker.consume("q", prefetch=5, deliver=inbox)
        await scene.broker.publish(message(b"patient", message_id="p"))
        loop = asyncio.get_running_loop()
        for _ in range(4):
            delivery = await inbox.next()
            assert (delivery.body, delivery.message_id) == (b"patient", "p")
            began = loop.time()
            await scene.broker.publish(message(delivery.body, "q", "wait", delivery.message_id))
            delivery.ack()
        (await inbox.next()).ack()
        assert loop.time() - began >= 0.049

    play(world, act)


def test_declaring_is_repeatable_and_another_argument_is_drift(world):
    async def act(scene):
        admin = scene.admin
        queue = Queue("new", {"x-queue-type": "quorum", "x-max-length": 5})
        exchange = Exchange("new", "topic")
        for thing, other in (
            (queue, Queue("new", {"x-queue-type": "quorum", "x-max-length": 6})),
            (exchange, Exchange("new", "direct")),
        ):
            assert (await admin.look(thing)).state is State.MISSING
            await admin.declare(thing)
            await admin.declare(thing)
            assert (await admin.look(thing)).state is State.SAME
            finding = await admin.look(other)
            assert finding.state is State.DIFFERENT
            assert "new" in finding.detail
            with pytest.raises(TopologyDrift, match="inequivalent arg"):
                await admin.declare(other)
            assert (await admin.look(thing)).state is State.SAME

    play(world, act)


def test_binding_is_repeatable_and_needs_both_ends(world):
    async def act(scene):
        for _ in range(2):
            await scene.admin.bind(Binding("x", "q", "k"))
        for binding in (
            Binding("x", "nothing", "k"),
            Binding("nothing", "q", "k"),
            Binding("x", "nothing", "k", to_exchange=True),
        ):
            with pytest.raises(TopologyMissing, match="nothing"):
                await scene.admin.bind(binding)
        await scene.broker.publish(message())
        assert await scene.drained("q", 1) == [b"hello"]

    play(world, act)


def test_purging_drops_ready_messages_and_says_how_many(world):
    async def act(scene):
        await scene.broker.publish_all([message(message_id=str(n)) for n in range(7)])
        assert await scene.admin.purge("q") == 7
        assert await scene.broker.depth("q") == QueueDepth(ready=0, consumers=0)
        with pytest.raises(TopologyMissing, match="nothing"):
            await scene.admin.purge("nothing")

    play(world, act)
