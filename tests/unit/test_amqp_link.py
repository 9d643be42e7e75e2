"""A supervised connection: what it tells its users when it is blocked, lost, replaced and given up."""

import asyncio

import pytest
from pika import exceptions, spec

from amqp_recorder import Recorder
from crawl_producer.amqp.link import HEALTHY_S, Link
from crawl_producer.amqp.nodes import Backoff
from crawl_producer.amqp.wire import Wire
from crawl_producer.errors import BrokerRefused, BrokerUnreachable


class Walk:
    """A walk that finds connections without sockets, until it is told to fail."""

    def __init__(self):
        self.backoff = Backoff(0.001, 0.002)
        self.found = []
        self.failure = None

    async def connect(self):
        if self.failure is not None:
            raise self.failure
        self.found.append(Recorder(asyncio.get_running_loop()))
        return Wire(self.found[-1], f"node{len(self.found)}")

    async def drain(self):
        pass


def play(act):
    async def run():
        walk = Walk()
        link = Link(walk)
        async with asyncio.timeout(5):
            await link.open()
            await act(link, walk)

    asyncio.run(run())


LOST = exceptions.StreamLostError("reset")


def test_a_lost_connection_is_replaced_and_counted():
    async def act(link, walk):
        assert (link.current.node, link.current.epoch, link.reconnects) == ("node1", 1, 0)
        walk.found[0].lose(LOST)
        assert link.current is None
        wire = await link.wire()
        assert (wire.node, wire.epoch, link.reconnects) == ("node2", 2, 1)

    play(act)


def test_a_block_is_seen_timed_and_its_end_announced():
    async def act(link, walk):
        told = []
        link.current.on_unblocked = lambda: told.append(link.blocked)
        walk.found[0].hear(spec.Connection.Blocked("memory"))
        assert link.blocked
        await asyncio.sleep(0.01)
        assert link.blocked_s >= 0.01
        walk.found[0].hear(spec.Connection.Unblocked())
        assert told == [False]
        assert not link.blocked

    play(act)


def test_blocked_time_outlives_the_connection_and_a_new_one_is_not_blocked():
    async def act(link, walk):
        walk.found[0].hear(spec.Connection.Blocked("memory"))
        await asyncio.sleep(0.01)
        walk.found[0].lose(LOST)
        before_s = link.blocked_s
        assert before_s >= 0.01
        await link.wire()
        assert not link.blocked
        assert link.blocked_s == before_s

    play(act)


def test_users_are_told_of_the_end_of_a_block_on_every_connection():
    async def act(link, walk):
        told = []
        link.on_unblocked = lambda: told.append(link.current.epoch)
        walk.found[0].lose(LOST)
        await link.wire()
        walk.found[1].hear(spec.Connection.Blocked("memory"))
        walk.found[1].hear(spec.Connection.Unblocked())
        assert told == [2]

    play(act)


@pytest.mark.parametrize("error", [BrokerUnreachable("no node", remedy="start one"), BrokerRefused("no")])
def test_whoever_waits_learns_why_there_will_be_no_connection(error):
    async def act(link, walk):
        told = []
        link.on_gave_up = told.append
        walk.failure = error
        walk.found[0].lose(LOST)
        for _ in range(2):
            with pytest.raises(type(error), match=str(error)) as caught:
                await link.wire()
            assert caught.value is not error
            assert caught.value.remedy == error.remedy
        assert told == [error]
        assert link.current is None

    play(act)


def test_a_defect_in_the_walk_leaves_nobody_waiting():
    async def act(link, walk):
        walk.failure = LookupError("a defect")
        walk.found[0].lose(LOST)
        with pytest.raises(BrokerUnreachable):
            await link.wire()
        assert isinstance(link._supervisor.exception(), LookupError)

    play(act)


def test_pauses_start_small_again_only_after_a_healthy_connection():
    async def act(link, walk):
        walk.found[0].lose(LOST)
        await link.wire()
        assert walk.backoff._last_s > 0
        link.current.opened_s -= HEALTHY_S
        walk.found[1].lose(LOST)
        await link.wire()
        assert walk.backoff._last_s == 0

    play(act)
