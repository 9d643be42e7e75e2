"""A node of three dies in the middle: nothing confirmed is missing, and the client goes on elsewhere."""

import asyncio

import uvloop

from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import PublishRefused, Unconfirmed
from crawl_producer.topology import Connection
from polling import until

MESSAGES = 10_000


def settings(cluster, vhost, *, only=slice(None)):
    nodes = tuple(f"127.0.0.1:{node.port}" for node in cluster.nodes[only])
    return Connection(nodes=nodes, vhost=vhost, retry_first_s=0.05, connect_timeout_s=1, handshake_timeout_s=3)


async def declare(connection):
    async with open_admin(connection) as admin:
        await admin.declare(Exchange("x", "direct"))
        await admin.declare(Queue("q", {"x-queue-type": "quorum"}))
        await admin.bind(Binding("x", "q", "k"))


def node_of(cluster, broker):
    return next(node for node in cluster.nodes if broker.statistics().node.endswith(f":{node.port}"))


def run(work):
    async def limited():
        async with asyncio.timeout(60):
            await work

    uvloop.run(limited())


class Publishers:
    """Many tasks that publish messages 0, 1, 2 … once each, and what became of every one."""

    def __init__(self, broker):
        self._broker = broker
        self._numbers = iter(range(MESSAGES))
        self.confirmed, self.unconfirmed = set(), set()

    async def run(self):
        await asyncio.gather(*(self._publish() for _ in range(300)))

    async def _publish(self):
        for number in self._numbers:
            try:
                while not await self._accepted(number):
                    await asyncio.sleep(0.05)
            except Unconfirmed:
                self.unconfirmed.add(number)
            else:
                self.confirmed.add(number)

    async def _accepted(self, number):
        """A quorum queue that has just lost its leader refuses, and some channels never learn of the next one."""
        try:
            await self._broker.publish(Outgoing("x", "k", b"%d" % number, str(number)))
        except PublishRefused:
            return False
        return True


async def drained(connection, expected):
    """The numbers in the queue, at least the expected ones."""
    found = set()

    def deliver(delivery):
        found.add(int(delivery.body))
        delivery.ack()

    async with AmqpBroker(connection, name="test") as broker:
        await broker.consume("q", prefetch=200, deliver=deliver)
        await until(lambda: found >= expected)
    return found


def test_no_confirmed_message_is_missing_when_the_publishers_node_is_killed(cluster, cluster_vhost):
    async def work():
        connection = settings(cluster, cluster_vhost)
        await declare(connection)
        async with AmqpBroker(connection, name="test") as broker:
            publishers = Publishers(broker)
            publishing = asyncio.create_task(publishers.run())
            await until(lambda: broker.statistics().confirmed > MESSAGES // 4)
            victim = node_of(cluster, broker)
            await asyncio.to_thread(victim.kill)
            await publishing
            assert broker.statistics().reconnects == 1
            assert node_of(cluster, broker) is not victim
        assert len(publishers.confirmed) + len(publishers.unconfirmed) == MESSAGES
        # Unconfirmed is what was in flight when the node died, and no more.
        assert len(publishers.unconfirmed) <= connection.confirm_window
        found = await drained(connection, publishers.confirmed)
        assert found <= publishers.confirmed | publishers.unconfirmed

    run(work())


def test_a_consumer_goes_on_when_its_node_is_killed(cluster, cluster_vhost):
    async def work():
        connection = settings(cluster, cluster_vhost)
        await declare(connection)
        async with AmqpBroker(connection, name="test") as producer, AmqpBroker(connection, name="test") as broker:
            found = set()

            def deliver(delivery):
                if delivery.ack():
                    found.add(int(delivery.body))

            await broker.consume("q", prefetch=50, deliver=deliver)
            publishers = Publishers(producer)
            publishing = asyncio.create_task(publishers.run())
            await until(lambda: len(found) > MESSAGES // 4)
            await asyncio.to_thread(node_of(cluster, broker).kill)
            await publishing
            await until(lambda: found >= publishers.confirmed)
            assert broker.statistics().reconnects == 2

    run(work())


def test_a_queue_goes_on_when_its_leader_is_killed_and_the_clients_are_elsewhere(cluster, cluster_vhost):
    async def work():
        # A quorum queue's first leader is on the node that its declarer is connected to.
        await declare(settings(cluster, cluster_vhost, only=slice(1)))
        connection = settings(cluster, cluster_vhost, only=slice(1, None))
        async with AmqpBroker(connection, name="test") as broker:
            found = set()

            def deliver(delivery):
                found.add(int(delivery.body))
                assert delivery.ack()

            await broker.consume("q", prefetch=50, deliver=deliver)
            publishers = Publishers(broker)
            publishing = asyncio.create_task(publishers.run())
            await until(lambda: len(found) > MESSAGES // 4)
            await asyncio.to_thread(cluster.nodes[0].kill)
            await publishing
            await until(lambda: found >= publishers.confirmed)
            statistics = broker.statistics()
            assert (statistics.reconnects, statistics.stale_acks) == (0, 0)
            assert publishers.confirmed == set(range(MESSAGES))
        async with AmqpBroker(connection, name="test") as broker:
            assert (await broker.depth("q")).ready == 0

    run(work())


def test_a_node_that_is_stopped_in_good_order_is_left_for_another(cluster, cluster_vhost):
    async def work():
        connection = settings(cluster, cluster_vhost)
        await declare(connection)
        async with AmqpBroker(connection, name="test") as broker:
            victim = node_of(cluster, broker)
            await asyncio.to_thread(victim.terminate)
            await until(lambda: broker.statistics().reconnects == 1)
            assert node_of(cluster, broker) is not victim
            await broker.publish(Outgoing("x", "k", b"1", "1"))

    run(work())
