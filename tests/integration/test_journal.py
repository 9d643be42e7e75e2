"""Journals on a real RabbitMQ: each routed message is kept, read from first to last, and nothing taken away."""

import asyncio

import pytest

from crawl_producer.amqp import AmqpBroker, Copy, open_admin, open_stream
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import State
from crawl_producer.derive import declarations
from crawl_producer.errors import TopologyMissing, Unroutable
from crawl_producer.plan import apply, plan
from crawl_producer.topology import Connection
from crawl_producer.topology_file import parse_topology
from polling import until

TOPOLOGY = parse_topology(
    """
exchanges:
  in: {type: topic}
  out: {type: fanout, bindings: [{exchange: in, key: "all.#"}]}
queues:
  a: {crawl: c, bindings: [{exchange: in, key: "a.#"}, {exchange: out}]}
  b: {crawl: c, group: other, max_length: 5, bindings: [{exchange: out}]}
crawls:
  c: {exchange: in, key: all.x, journal: {max_bytes: 2_000_000}}
""",
    "test",
)
MESSAGES = 5000
#: A node that is killed within seconds of a cluster's first stream loses its part of what coordinates them all, because
#: a name has not reached its disk yet (docs/servers.md). This brings the names there.
NAMES_TO_DISK = (
    "lists:foreach(fun(S) -> #{names := #{directory_rev := Names}} = ra_system:fetch(S), ok = dets:sync(Names) end,"
    " [coordination, quorum_queues])."
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def connection(rabbit, fresh_vhost):
    return Connection(nodes=(f"127.0.0.1:{rabbit.nodes[0].port}",), vhost=fresh_vhost, give_up_s=5)


def play(connection, act, within_s=60):
    async def run():
        async with asyncio.timeout(within_s):
            async with open_admin(connection, name="journal") as admin:
                await apply(await plan(declarations(TOPOLOGY), admin), admin)
                assert (await plan(declarations(TOPOLOGY), admin)).in_state(State.DIFFERENT) == ()
            async with AmqpBroker(connection, name="journal") as broker:
                await act(broker)

    asyncio.run(run())


async def read(connection):
    async with open_stream(connection, "journal.c", name="reader") as stream:
        return [copy async for copy in stream]


def numbered(numbers, exchange="in", key="a.1"):
    return [Outgoing(exchange, key, f"body {n}".encode(), f"id-{n}") for n in numbers]


def test_an_empty_journal_is_read_to_its_end(connection):
    async def act(_):
        assert await read(connection) == []

    play(connection, act)


def test_every_message_is_read_with_exchange_key_and_id_as_often_as_one_likes(connection):
    async def act(broker):
        assert set(await broker.publish_all(numbered(range(MESSAGES)))) == {None}
        expected = [Copy("in", "a.1", f"body {n}".encode(), f"id-{n}") for n in range(MESSAGES)]
        assert sorted(await read(connection), key=lambda copy: int(copy.message_id[3:])) == expected
        assert len(await read(connection)) == MESSAGES
        assert (await broker.depth("a")).ready == MESSAGES

    play(connection, act)


def test_what_reaches_two_queues_through_two_exchanges_is_kept_once_with_the_key_of_its_publisher(connection):
    async def act(broker):
        await broker.publish(Outgoing("in", "all.x", b"body", "id"))
        assert [(await broker.depth(queue)).ready for queue in "ab"] == [1, 1]
        assert await read(connection) == [Copy("in", "all.x", b"body", "id")]

    play(connection, act)


def test_a_key_that_no_work_queue_wants_is_wanted_by_no_journal(connection):
    async def act(broker):
        with pytest.raises(Unroutable):
            await broker.publish(Outgoing("in", "typo", b"body", "id"))
        assert await read(connection) == []

    play(connection, act)


def test_the_messages_of_a_deleted_queue_are_in_the_journal(connection, rabbit, fresh_vhost):
    async def act(broker):
        await broker.publish(*numbered([1]))
        rabbit.nodes[0].management.call("DELETE", f"queues/{fresh_vhost}/a")
        # Confirmed by the journal alone: that is its price.
        await broker.publish(*numbered([2]))
        assert [copy.message_id for copy in await read(connection)] == ["id-1", "id-2"]

    play(connection, act)


def test_reading_ends_although_others_publish_all_the_time(connection):
    async def act(broker):
        await broker.publish_all(numbered(range(300)))
        stop = asyncio.Event()

        async def publish():
            for _ in range(200):  # not so many that the stream drops its oldest
                if not stop.is_set():
                    await broker.publish_all(numbered(range(300, 320)))

        publishing = asyncio.create_task(publish())
        ids = {copy.message_id for copy in await read(connection)}
        stop.set()
        await publishing
        assert {f"id-{n}" for n in range(300)} <= ids

    play(connection, act)


def test_a_journal_that_is_not_there_is_missing_topology(connection):
    async def act(_):
        with pytest.raises(TopologyMissing):
            async with open_stream(connection, "journal.other", name="reader"):
                pass

    play(connection, act)


def test_a_journal_that_has_dropped_its_oldest_is_read_from_what_it_has(connection):
    async def act(broker):
        for first in range(0, 10_000, 500):
            await broker.publish_all([Outgoing("in", "a.1", b"x" * 1000, f"id-{n}") for n in range(first, first + 500)])
        ids = [int(copy.message_id[3:]) for copy in await read(connection)]
        assert max(ids) == 9_999
        assert 0 < len(ids) < 10_000

    play(connection, act)


def test_confirms_come_and_nothing_is_missing_whichever_node_of_a_cluster_is_killed(cluster, cluster_vhost):
    nodes = tuple(f"127.0.0.1:{node.port}" for node in cluster.nodes)

    async def act(broker):
        for node in cluster.nodes:
            await asyncio.to_thread(node.ctl, "eval", NAMES_TO_DISK)
        sent = 0
        for victim in cluster.nodes:
            publishing = asyncio.create_task(published(broker, range(sent, sent + 4000)))
            await until(lambda: broker.statistics().confirmed > sent + 500)  # noqa: B023 - awaited here
            victim.kill()
            await publishing
            sent += 4000
            await asyncio.to_thread(cluster.heal)
        ids = {copy.message_id for copy in await read(broker_connection)}
        assert ids == {f"id-{n}" for n in range(sent)}

    broker_connection = Connection(nodes=nodes, vhost=cluster_vhost)
    play(broker_connection, act, within_s=240)


def test_it_is_read_from_the_one_node_that_has_a_replica(cluster, cluster_vhost):
    connection = Connection(nodes=tuple(f"127.0.0.1:{node.port}" for node in cluster.nodes), vhost=cluster_vhost)

    async def act(broker):
        await broker.publish(*numbered([1]))
        deletion = f'rabbit_stream_queue:delete_replica(<<"{cluster_vhost}">>, <<"journal.c">>, node())'
        for node in cluster.nodes[1:]:
            await asyncio.to_thread(node.ctl, "eval", f"case {deletion} of ok -> ok; {{ok, _}} -> ok end.")
        for _ in range(4):  # it begins with any of the three
            assert [copy.message_id for copy in await read(connection)] == ["id-1"]

    play(connection, act, within_s=120)


async def published(broker, numbers):
    """Publish until every one is confirmed."""
    waiting = numbered(numbers)
    while waiting:
        fates = await broker.publish_all(waiting)
        waiting = [message for message, fate in zip(waiting, fates, strict=True) if fate is not None]
