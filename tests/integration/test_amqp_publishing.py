"""Publishing to a RabbitMQ that answers late, blocks, refuses or goes away in the middle."""

import asyncio
import uuid
from contextlib import asynccontextmanager

import pytest
import uvloop
from pydantic import SecretStr

from crawl_dev.tcp_proxy import TcpProxy
from crawl_producer.amqp import AmqpBroker, open_admin
from crawl_producer.amqp.channel import Channel
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import BrokerRefused, TopologyMissing, Unconfirmed
from crawl_producer.topology import Connection
from polling import until


class Stage:
    """A queue ``q`` behind exchange ``x`` and key ``k``, and a proxy through which clients come."""

    def __init__(self, rabbit, vhost):
        self.rabbit, self.vhost = rabbit, vhost
        self.proxy = TcpProxy(rabbit.nodes[0].port)

    def settings(self, port=None, **other):
        quick = {"retry_first_s": 0.05, "retry_max_s": 0.5, "give_up_s": 20}
        node = f"127.0.0.1:{port or self.rabbit.nodes[0].port}"
        return Connection(nodes=(node,), vhost=self.vhost, **(quick | other))

    @asynccontextmanager
    async def client(self, **other):
        async with self.proxy, AmqpBroker(self.settings(self.proxy.port, **other), name="test") as broker:
            yield broker

    async def __aenter__(self):
        async with open_admin(self.settings()) as admin:
            await admin.declare(Exchange("x", "direct"))
            await admin.declare(Queue("q", {"x-queue-type": "quorum"}))
            await admin.bind(Binding("x", "q", "k"))
        return self

    async def __aexit__(self, *exc):
        pass

    async def kept(self):
        """The message ids in the queue, which is then empty."""
        async with AmqpBroker(self.settings(), name="test") as broker:
            count = (await broker.depth("q")).ready
            ids, all_in = [], asyncio.Event()

            def deliver(delivery):
                ids.append(delivery.message_id)
                delivery.ack()
                if len(ids) == count:
                    all_in.set()

            await broker.consume("q", prefetch=100, deliver=deliver)
            if count:
                await all_in.wait()
            return sorted(ids)


@pytest.fixture
def stage(rabbit, fresh_vhost):
    return Stage(rabbit, fresh_vhost)


def run(play):
    async def limited():
        async with asyncio.timeout(90):
            await play

    uvloop.run(limited())


def message(message_id, key="k", exchange="x"):
    return Outgoing(exchange, key, b"body", message_id)


def test_in_flight_when_the_connection_goes_is_unconfirmed_and_what_stood_in_line_is_published(stage):
    async def play():
        async with stage, stage.client(confirm_window=10) as broker:
            await broker.publish(message("before"))
            stage.proxy.hold()
            publishing = asyncio.create_task(broker.publish_all([message(f"{n:02}") for n in range(50)]))
            await until(lambda: broker.statistics().unconfirmed == 10)
            stage.proxy.cut()
            stage.proxy.release()
            fates = await publishing
            assert [type(fate) for fate in fates] == [Unconfirmed] * 10 + [type(None)] * 40
            assert broker.statistics().reconnects == 1
        kept = await stage.kept()
        assert set(kept) >= {"before", *(f"{n:02}" for n in range(10, 50))}

    run(play())


def test_a_publisher_that_is_cancelled_keeps_its_place_in_the_window_until_the_confirm(stage):
    async def play():
        async with stage, stage.client(confirm_window=1) as broker:
            await broker.publish(message("0"))
            stage.proxy.hold()
            first, second, third = (asyncio.create_task(broker.publish(message(n))) for n in "123")
            await asyncio.sleep(0)
            first.cancel()
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert broker.statistics().unconfirmed == 1
            assert broker.statistics().published == 2
            stage.proxy.release()
            await third
            assert broker.statistics().unconfirmed == 0
        assert await stage.kept() == ["0", "1", "3"]

    run(play())


def test_a_confirm_that_does_not_come_in_time_frees_the_window(stage):
    async def play():
        async with stage, stage.client(confirm_window=2, confirm_timeout_s=0.4) as broker:
            await broker.publish(message("0"))
            stage.proxy.hold()
            fates = await broker.publish_all([message("1"), message("2")])
            assert [type(fate) for fate in fates] == [Unconfirmed] * 2
            assert "within 0.4 s" in str(fates[0])
            stage.proxy.release()
            assert await broker.publish_all([message("3"), message("4"), message("5")]) == [None] * 3
            assert broker.statistics().reconnects == 0
        assert await stage.kept() == ["0", "1", "2", "3", "4", "5"]

    run(play())


def test_closing_waits_for_confirms_that_nobody_waits_for(stage):
    async def play():
        async with stage:
            async with stage.client() as broker:
                await broker.publish(message("000"))
                stage.proxy.hold()
                publishing = asyncio.create_task(broker.publish_all([message(f"{n:03}") for n in range(1, 300)]))
                await until(lambda: broker.statistics().unconfirmed == 299)
                publishing.cancel()
                asyncio.get_running_loop().call_later(0.2, stage.proxy.release)
            assert broker.statistics().confirmed == 300
            assert len(await stage.kept()) == 300

    run(play())


def test_one_missing_exchange_costs_the_others_nothing_but_a_repetition(stage):
    async def play():
        async with stage, stage.client() as broker:
            tasks = [
                asyncio.create_task(broker.publish(message(f"{n:03}", exchange="x" if n % 10 else "gone")))
                for n in range(100)
            ]
            fates = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(fate) for fate in fates[::10]} == {TopologyMissing}
            others = {type(fate) for n, fate in enumerate(fates) if n % 10}
            assert others <= {type(None), Unconfirmed}
            again = [message(f"{n:03}") for n in range(100) if isinstance(fates[n], Unconfirmed)]
            assert await broker.publish_all(again) == [None] * len(again)
            assert broker.statistics().reconnects == 0
        assert set(await stage.kept()) == {f"{n:03}" for n in range(100) if n % 10}

    run(play())


def test_a_user_without_write_permission_is_told_so(stage, rabbit):
    user, password = f"u-{uuid.uuid4().hex[:8]}", "p4ssw0rd"
    management = rabbit.nodes[0].management
    management.call("PUT", f"users/{user}", {"password": password, "tags": ""})
    management.call("PUT", f"permissions/{stage.vhost}/{user}", {"configure": "", "write": "", "read": ".*"})

    async def play():
        async with stage, stage.client(username=user, password=SecretStr(password)) as broker:
            for _ in range(2):
                with pytest.raises(BrokerRefused, match="exchange 'x'") as caught:
                    await broker.publish(message("1"))
            assert "permissions" in caught.value.remedy
            assert (await broker.depth("q")).ready == 0
            async with open_admin(stage.settings(username=user, password=SecretStr(password))) as admin:
                with pytest.raises(BrokerRefused):
                    await admin.declare(Queue("mine", {"x-queue-type": "quorum"}))

    try:
        run(play())
    finally:
        management.call("DELETE", f"users/{user}")


def test_an_alarm_blocks_publishers_while_acknowledgements_get_through(stage, rabbit):
    async def settle(inbox, may_settle):
        await may_settle.wait()
        while True:
            (await inbox.get()).ack()

    async def play():
        async with stage, stage.client(confirm_window=500) as broker:
            inbox, may_settle = asyncio.Queue(), asyncio.Event()
            await broker.publish_all([message(f"{n}") for n in range(50)])
            await broker.consume("q", prefetch=5, deliver=inbox.put_nowait)
            settling = asyncio.create_task(settle(inbox, may_settle))
            await until(lambda: inbox.qsize() == 5)
            await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1MB")
            try:
                # The broker says so when it reads the first publication, which may still be confirmed.
                blocked = [asyncio.create_task(broker.publish(message(f"late {n}"))) for n in range(1_000)]
                await until(lambda: broker.statistics().blocked_s)
                may_settle.set()
                # With a prefetch of 5, the sixth delivery needs an acknowledgement that was read.
                await until(lambda: broker.statistics().acked >= 50)
                later = asyncio.create_task(broker.publish(message("later")))
                await asyncio.sleep(0)
                sent = broker.statistics().published
                assert sent <= 50 + 500
                assert not later.done()
            finally:
                await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1GiB")
            await asyncio.gather(*blocked, later)
            settling.cancel()
            statistics = broker.statistics()
            assert statistics.confirmed == 50 + 1_000 + 1
            assert statistics.blocked_s > 0
            assert statistics.reconnects == 0

    run(play())


def test_nothing_is_sent_to_a_broker_that_has_said_it_is_blocked(stage, rabbit):
    async def play():
        async with stage, stage.client() as broker:
            await broker.publish(message("before"))
            await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1MB")
            try:
                messenger = asyncio.create_task(broker.publish(message("messenger")))
                await until(lambda: broker.statistics().blocked_s)
                waiting = asyncio.create_task(broker.publish_all([message(f"{n}") for n in range(100)]))
                await asyncio.sleep(0)
                assert broker.statistics().published == 2
            finally:
                await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1GiB")
            await messenger
            assert await waiting == [None] * 100

    run(play())


def test_a_client_leaves_at_once_even_when_it_is_blocked(stage, rabbit):
    async def play():
        loop = asyncio.get_running_loop()
        async with stage, stage.client() as broker:
            await broker.publish(message("0"))
            await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1MB")
            try:
                publishing = [asyncio.create_task(broker.publish(message(f"{n}"))) for n in range(600)]
                await until(lambda: broker.statistics().blocked_s)
                began = loop.time()
                await broker.__aexit__()
                assert loop.time() - began < 2
                fates = await asyncio.gather(*publishing, return_exceptions=True)
                assert {type(fate) for fate in fates} <= {type(None), Unconfirmed}
            finally:
                await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1GiB")

    run(play())


@pytest.fixture
def two_channels(rabbit, fresh_vhost):
    """A user of its own who may open two channels: what others leave open does not count."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    rabbit.ctl("add_user", name, "secret")
    rabbit.ctl("set_permissions", "-p", fresh_vhost, name, ".*", ".*", ".*")
    rabbit.ctl("set_user_limits", name, '{"max-channels": 2}')
    yield {"username": name, "password": SecretStr("secret")}
    rabbit.ctl("delete_user", name)


def test_a_limit_of_channels_costs_a_connection_and_then_nothing_more(stage, two_channels):
    async def play():
        async with stage, stage.client(**two_channels) as broker:
            thousand = [message(f"{n}") for n in range(1_000)]
            while not broker.statistics().reconnects:  # RabbitMQ closes the connection of who asks for a third
                assert {type(fate) for fate in await broker.publish_all(thousand)} <= {type(None), Unconfirmed}
            for _ in range(10):
                assert await broker.publish_all(thousand) == [None] * 1_000
            assert broker.statistics().reconnects == 1

    run(play())


def test_calls_that_wait_on_a_channel_all_fail_when_the_broker_closes_it(stage):
    async def play():
        async with stage, stage.client() as broker:
            channel = await Channel.open(await broker._publishing.wire())
            declare = channel.raw.queue_declare
            calls = [channel.call(declare, "q", durable=True, arguments={"x-max-length": n}) for n in range(5)]
            outcomes = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 10)
            assert ["PRECONDITION_FAILED" in str(outcome) for outcome in outcomes] == [True] * 5
            with pytest.raises(Exception, match="PRECONDITION_FAILED"):
                await channel.call(declare, "q", passive=True)
            await broker.publish(message("others are well"))

    run(play())
