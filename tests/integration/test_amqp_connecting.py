"""Finding a node: dead, silent and unknown ones are passed by, refusals end the search, nothing is left behind."""

import asyncio
import logging
import os
import socket
import time

import pytest
import uvloop
from pydantic import SecretStr

from crawl_dev import RabbitInstallation
from crawl_dev.tcp_proxy import TcpProxy
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.amqp.nodes import NodeWalk
from crawl_producer.broker import Outgoing
from crawl_producer.errors import BrokerRefused, BrokerUnreachable, TopologyMissing
from crawl_producer.topology import Connection
from polling import until

UNKNOWN = "no-such-node.invalid:5672"


@pytest.fixture
def dead_node():
    """A port that nobody listens on: bound, so that nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def silent_node():
    """A host that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def node(rabbit):
    return f"127.0.0.1:{rabbit.nodes[0].port}"


def settings(*nodes, **other):
    quick = {"connect_timeout_s": 1, "handshake_timeout_s": 1, "retry_first_s": 0.05, "give_up_s": 20}
    return Connection(nodes=nodes, **(quick | other))


def run(work):
    async def limited():
        async with asyncio.timeout(60):
            await work

    uvloop.run(limited())


async def connect(connection):
    """Walk the nodes in the order in which they are given."""
    walk = NodeWalk(connection, "test", connection.endpoints())
    try:
        return await walk.connect()
    finally:
        await walk.drain()


@pytest.mark.parametrize("bad", ["dead_node", "silent_node", UNKNOWN])
def test_a_first_node_that_is_no_help_is_passed_by(bad, node, request, fresh_vhost):
    first = bad if bad == UNKNOWN else request.getfixturevalue(bad)

    async def work():
        wire = await connect(settings(first, node, vhost=fresh_vhost))
        assert wire.node == node
        await wire.close()

    run(work())


def test_a_client_finds_the_one_good_node_among_bad_ones(node, dead_node, silent_node, fresh_vhost):
    async def work():
        connection = settings(dead_node, UNKNOWN, silent_node, node, vhost=fresh_vhost)
        async with AmqpBroker(connection, name="test") as broker:
            assert broker.statistics().node == node

    run(work())


def test_without_any_node_each_is_listed_with_its_reason(dead_node, silent_node):
    async def work():
        began = time.monotonic()
        with pytest.raises(BrokerUnreachable) as caught:
            async with AmqpBroker(settings(dead_node, silent_node, UNKNOWN, opening_s=0.5), name="test"):
                pytest.fail("connected to nothing")
        assert f"{dead_node} (connection refused)" in str(caught.value)
        assert f"{silent_node} (no answer in time)" in str(caught.value)
        assert f"{UNKNOWN} (the name does not resolve)" in str(caught.value)
        assert "CRAWL_RABBITMQ_NODES" in caught.value.remedy
        assert time.monotonic() - began < 10

    run(work())


def test_a_wrong_password_ends_the_search_at_once_and_is_not_repeated_anywhere(node, fresh_vhost, caplog):
    caplog.set_level(logging.DEBUG, logger="crawl_producer")

    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            connection = settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost, password=SecretStr("s3cr3t"))
            with pytest.raises(BrokerRefused) as caught:
                async with AmqpBroker(connection, name="test"):
                    pytest.fail("let in")
            assert proxy.accepted == 1
        assert "'guest'" in str(caught.value)
        assert "CRAWL_RABBITMQ_PASSWORD" in caught.value.remedy
        assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.remedy} {caplog.text}"

    run(work())


def test_a_vhost_that_does_not_exist_ends_the_search_at_once(node):
    async def work():
        with pytest.raises(BrokerRefused, match="'no-such-vhost'") as caught:
            async with open_admin(settings(node, vhost="no-such-vhost")):
                pytest.fail("let in")
        assert "CRAWL_RABBITMQ_VHOST" in caught.value.remedy

    run(work())


def test_the_version_of_the_node_is_known_and_one_that_is_too_old_is_left_at_once(
    node, fresh_vhost, monkeypatch, caplog
):
    monkeypatch.setattr("crawl_producer.amqp.admin.OLDEST_VERSION", (99, 1))
    caplog.set_level(logging.INFO, logger="crawl_producer")
    version = RabbitInstallation.chosen().version

    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            with pytest.raises(BrokerRefused, match=f"has version {version}") as caught:
                async with open_admin(settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost)):
                    pytest.fail("let in")
            assert caught.value.remedy == "install RabbitMQ 99.1 or later"
            await proxy.until(accepted=1, ended=1)

    run(work())
    assert f"RabbitMQ {version}" in caplog.text


def test_a_full_vhost_is_waited_for(node, rabbit, fresh_vhost):
    management = rabbit.nodes[0].management

    async def work():
        connecting = asyncio.create_task(connect(settings(node, vhost=fresh_vhost)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connecting), 0.5)
        management.call("PUT", f"vhost-limits/{fresh_vhost}/max-connections", {"value": -1})
        await (await connecting).close()

    management.call("PUT", f"vhost-limits/{fresh_vhost}/max-connections", {"value": 0})
    run(work())


def test_a_broker_that_comes_up_late_is_waited_for(node, fresh_vhost):
    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            await proxy.go()
            connecting = asyncio.create_task(connect(settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost)))
            await asyncio.sleep(0)
            await proxy.come()
            await (await connecting).close()

    run(work())


def test_a_connection_that_nobody_waits_for_any_more_is_closed(node, fresh_vhost):
    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            proxy.hold()
            walk = NodeWalk(
                settings("unused", vhost=fresh_vhost, handshake_timeout_s=20), "test", (("127.0.0.1", proxy.port),)
            )
            connecting = asyncio.create_task(walk.connect())
            await proxy.until(accepted=1)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            proxy.release()
            await walk.drain()
            await proxy.until(ended=1)

    run(work())


def test_a_node_that_falls_silent_is_left_for_another(node, fresh_vhost):
    async def work():
        port = int(node.rpartition(":")[2])
        async with TcpProxy(port) as left, TcpProxy(port) as right:
            nodes = {f"127.0.0.1:{proxy.port}": proxy for proxy in (left, right)}
            async with AmqpBroker(settings(*nodes, vhost=fresh_vhost, heartbeat_s=1), name="test") as broker:
                first = broker.statistics().node
                nodes[first].hold()
                # After 1.25 heartbeat times, where pika by itself takes up to twelve seconds.
                async with asyncio.timeout(4):
                    await until(lambda: broker.statistics().reconnects == 1)
                assert broker.statistics().node != first

    run(work())


def test_a_client_that_is_closed_while_it_reconnects_leaves_at_once(node, fresh_vhost):
    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            connection = settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost, retry_first_s=30, retry_max_s=30)
            async with AmqpBroker(connection, name="test"):
                await proxy.go()
                await proxy.until(ended=1)
                began = time.monotonic()
            assert time.monotonic() - began < 2

    run(work())


def test_a_lost_connection_without_any_node_fails_the_client_and_whoever_waits(node, fresh_vhost):
    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            connection = settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost, give_up_s=0.5)
            async with AmqpBroker(connection, name="test") as broker:
                failing = asyncio.create_task(broker.failed())
                await proxy.go()
                await proxy.until(ended=1)
                waiting = asyncio.create_task(broker.publish(Outgoing("x", "k", b"", "1")))
                for outcome in (waiting, broker.publish(Outgoing("x", "k", b"", "2")), broker.depth("q")):
                    with pytest.raises(BrokerUnreachable, match="connection refused"):
                        await outcome
                assert isinstance(await failing, BrokerUnreachable)

    run(work())


def test_a_caller_that_loses_patience_does_not_fail_the_client(node, fresh_vhost):
    async def work():
        async with TcpProxy(int(node.rpartition(":")[2])) as proxy:
            connection = settings(f"127.0.0.1:{proxy.port}", vhost=fresh_vhost, handshake_timeout_s=10)
            async with AmqpBroker(connection, name="test") as broker:
                failing = asyncio.create_task(broker.failed())
                proxy.hold()
                asking = asyncio.create_task(broker.depth("q"))
                await proxy.until(accepted=2)
                asking.cancel()
                proxy.release()
                with pytest.raises(asyncio.CancelledError):
                    await asking
                with pytest.raises(TopologyMissing):
                    await broker.depth("q")
                assert not failing.done()
                failing.cancel()

    run(work())


def test_operators_see_who_is_connected(node, rabbit, fresh_vhost):
    async def work():
        async with (
            AmqpBroker(settings(node, vhost=fresh_vhost), name="crawl-consumer") as broker,
            open_admin(settings(node, vhost=fresh_vhost)),
        ):
            with pytest.raises(Exception, match="no queue"):
                await broker.depth("q")
            return rabbit.ctl("list_connections", "vhost", "client_properties")

    listed = uvloop.run(work())
    lines = [line for line in listed.splitlines() if fresh_vhost in line]
    assert len(lines) == 3
    for command, purpose in (
        ("crawl-consumer", "publish"),
        ("crawl-consumer", "consume"),
        ("crawl-topology", "admin"),
    ):
        name = f"{command}/{socket.gethostname()}/{os.getpid()}/{purpose}"
        assert sum(name in line for line in lines) == 1
