"""Acknowledgements leave in groups, and never say more than was settled."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawl_producer.amqp.acknowledgements import Acknowledgements
from polling import until


class Broker:
    """A channel, and what the broker at its other end makes of the frames."""

    def __init__(self):
        self.raw = self
        self.is_open = True
        self.unsettled = {}
        self.acked, self.requeued, self.frames = set(), set(), 0

    def basic_ack(self, tag, multiple=False):
        assert tag in self.unsettled, "RabbitMQ closes the channel for that"
        self.frames += 1
        for covered in [t for t in self.unsettled if t == tag or (multiple and t < tag)]:
            del self.unsettled[covered]
            self.acked.add(covered)

    def basic_nack(self, tag, requeue):
        assert requeue
        del self.unsettled[tag]
        self.requeued.add(tag)


def play(act, prefetch):
    async def run():
        broker = Broker()
        await act(broker, Acknowledgements(broker, prefetch))

    asyncio.run(run())


def deliver(broker, settling, *tags, kept_by_pika=()):
    for tag in tags:
        broker.unsettled[tag] = None
        if tag not in kept_by_pika:
            settling.delivered(tag)


@given(st.data(), st.integers(1, 40), st.sets(st.integers(1, 5), max_size=2))
def test_what_is_settled_reaches_the_broker_and_nothing_else(data, prefetch, kept):
    async def act(broker, settling):
        in_hand, acked, requeued, last = [], set(), set(), 0
        for step in data.draw(st.lists(st.sampled_from(["deliver", "ack", "ack", "requeue", "send"]), max_size=60)):
            if step == "deliver":
                last += 1
                deliver(broker, settling, last, kept_by_pika=kept)
                in_hand += [last] * (last not in kept)
            elif step == "send":
                settling.send()
            elif in_hand:
                tag = in_hand.pop(data.draw(st.integers(0, len(in_hand) - 1)))
                (acked if step == "ack" else requeued).add(tag)
                settling.ack(tag) if step == "ack" else settling.requeue(tag)
            assert broker.acked <= acked
            assert broker.requeued == requeued
            if not in_hand:
                assert broker.acked == acked  # nothing is left that they could wait for
        settling.send_at_once()
        assert broker.acked == acked

    play(act, prefetch)


def test_those_of_a_moment_leave_in_one_frame_and_none_waits_for_long():
    async def act(broker, settling):
        deliver(broker, settling, *range(1, 40))
        for group, frames in (((2, 1, 3, 5), 2), ((4, 7, 6), 3)):
            for tag in group:
                settling.ack(tag)
            assert broker.acked.isdisjoint(group)
            await until(lambda: broker.acked.issuperset(group))  # noqa: B023 - awaited here
            assert broker.frames == frames

    play(act, prefetch=64)


def test_a_group_that_left_has_no_clock_that_would_send_the_next_one_early():
    async def act(broker, settling):
        deliver(broker, settling, *range(1, 40))
        settling.ack(1)
        clock = settling._timer
        settling.send()
        assert clock.cancelled()

    play(act, prefetch=64)


def test_what_is_given_back_leaves_nothing_waiting_when_it_was_the_last_in_hand():
    async def act(broker, settling):
        deliver(broker, settling, 1, 2)
        settling.ack(1)
        settling.requeue(2)
        assert (broker.acked, broker.requeued) == ({1}, {2})

    play(act, prefetch=40)


@pytest.mark.parametrize(("prefetch", "held_back"), [(1, 0), (4, 1), (64, 16)])
def test_no_more_is_held_back_than_a_part_of_the_prefetch(prefetch, held_back):
    async def act(broker, settling):
        deliver(broker, settling, *range(1, 100))
        for tag in range(1, held_back + 1):
            settling.ack(tag)
            assert broker.frames == 0
        settling.ack(held_back + 1)
        assert len(broker.acked) == held_back + 1
        assert broker.frames == 1

    play(act, prefetch)


def test_once_the_channel_is_to_be_closed_each_leaves_at_once():
    async def act(broker, settling):
        deliver(broker, settling, *range(1, 10))
        settling.ack(1)
        settling.send_at_once()
        settling.ack(2)
        assert broker.acked == {1, 2}

    play(act, prefetch=64)


def test_on_a_channel_that_went_meanwhile_nothing_is_sent():
    async def act(broker, settling):
        deliver(broker, settling, 1, 2)
        settling.ack(1)
        broker.is_open = False
        settling.send()
        settling.send_at_once()
        assert broker.frames == 0

    play(act, prefetch=64)


def test_a_delivery_that_pika_kept_from_us_is_covered_by_no_acknowledgement():
    async def act(broker, settling):
        deliver(broker, settling, 1, 2, 3, 4, kept_by_pika={2})
        for tag in (1, 3, 4):
            settling.ack(tag)
        settling.send_at_once()
        assert broker.acked == {1, 3, 4}

    play(act, prefetch=64)
