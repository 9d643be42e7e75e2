"""The publisher's line, window and outlet, with a broker that says whatever the test wants."""

import asyncio

import pytest

from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.lane import RENEW_S
from crawl_producer.amqp.publisher import Publisher
from crawl_producer.broker import Outgoing
from crawl_producer.errors import BrokerUnreachable, PublishRefused, Unconfirmed, Unroutable
from polling import until
from scripted_channels import FakeLink, publishing, settle_down


def play(act, window=10, timeout_s=60):
    async def run():
        link = FakeLink()
        publisher = Publisher(link, window=window, confirm_timeout_s=timeout_s)
        publisher.start()
        async with asyncio.timeout(10):
            await act(publisher, link)
            await publisher.close()

    asyncio.run(run())


def test_the_line_moves_up_as_confirms_come_in_whatever_order():
    async def act(publisher, link):
        batch = publishing(publisher, *"123456")
        await settle_down()
        (channel,) = link.channels
        assert channel.raw.sent == ["1", "2"]
        channel.confirm(2)
        assert channel.raw.sent == ["1", "2", "3"]
        channel.confirm(1, 3)
        assert channel.raw.sent == ["1", "2", "3", "4", "5"]
        channel.confirm(4, 5, 6)
        assert await batch == [None] * 6

    play(act, window=2)


def test_after_a_refusal_an_old_channel_is_replaced_once_nothing_is_in_flight():
    async def act(publisher, link):
        batch = publishing(publisher, *"1234")
        await settle_down()
        (old,) = link.channels
        publisher._lanes[0].outlet.opened_s -= RENEW_S
        old.confirm(1, nack=True)
        assert old.raw.sent == ["1", "2"]
        old.confirm(2)
        await settle_down()
        assert old.abandoned == 1
        _, new = link.channels
        assert new.raw.sent == ["3", "4"]
        old.confirm(1, 2)  # a late word of the old channel says nothing of the new one's tags
        assert publisher.unconfirmed == 2
        new.confirm(1, 2)
        fates = await batch
        assert [type(fate) for fate in fates] == [PublishRefused] + [type(None)] * 3

    play(act, window=2)


def test_a_batch_ends_with_its_last_confirm_and_what_came_back_is_unroutable():
    async def act(publisher, link):
        batch = publishing(publisher, *"123")
        await settle_down()
        (channel,) = link.channels
        channel.give_back("2")
        channel.confirm(1, 2)
        await settle_down()
        assert not batch.done()
        channel.confirm(3)
        assert [type(fate) for fate in await batch] == [type(None), Unroutable, type(None)]

    play(act)


def test_what_was_in_flight_on_a_lost_channel_is_not_known_to_be_confirmed():
    async def act(publisher, link):
        batch = publishing(publisher, *"12")
        await settle_down()
        link.channels[0].confirm(1)
        link.channels[0].closed.set_result(Closed(0, "reset", lost=True))
        assert [type(fate) for fate in await batch] == [type(None), Unconfirmed]

    play(act)


def test_a_young_channel_is_not_replaced_for_every_refusal():
    async def act(publisher, link):
        for _ in range(20):
            batch = publishing(publisher, "1")
            await settle_down()
            link.channels[0].confirm(len(link.channels[0].raw.sent), nack=True)
            assert [type(fate) for fate in await batch] == [PublishRefused]
        assert len(link.channels) == 1

    play(act)


def test_a_confirm_that_stays_away_holds_up_a_replacement_but_not_the_line():
    async def act(publisher, link):
        stuck = publishing(publisher, "stuck")
        batch = publishing(publisher, *"123")
        await settle_down()
        (channel,) = link.channels
        publisher._lanes[0].outlet.opened_s -= RENEW_S
        channel.confirm(2, nack=True)
        later = publishing(publisher, "later")
        await settle_down()
        assert "later" not in channel.raw.sent
        await until(lambda: "later" in channel.raw.sent)
        assert link.channels == [channel]
        channel.confirm(1, 3, 4, 5)
        await asyncio.gather(stuck, batch, later)

    play(act)


def test_an_overdue_confirm_costs_the_channel():
    async def act(publisher, link):
        batch = publishing(publisher, *"12")
        fates = await batch
        assert [type(fate) for fate in fates] == [Unconfirmed] * 2
        again = publishing(publisher, *"12")
        await settle_down()
        link.channels[1].confirm(1, 2)
        assert await again == [None] * 2

    play(act, timeout_s=0.04)


def test_time_in_which_the_broker_is_blocked_does_not_count():
    async def act(publisher, link):
        batch = publishing(publisher, "1")
        await settle_down()
        link.blocked = True
        await asyncio.sleep(0.2)
        waiting = publishing(publisher, "2")
        await settle_down()
        assert link.channels[0].raw.sent == ["1"]
        link.blocked = False
        link.on_unblocked()
        link.channels[0].confirm(1, 2)
        assert await batch == await waiting == [None]
        assert len(link.channels) == 1

    play(act, timeout_s=0.08)


@pytest.mark.parametrize("failure", [BrokerUnreachable("no node answers"), LookupError("a defect")])
def test_when_no_channel_is_to_be_had_nobody_waits_for_ever(failure):
    async def act(publisher, link):
        batch = publishing(publisher, *"1234")
        await settle_down()
        link.failure = failure
        link.channels[0].closed.set_result(Closed(0, "reset", lost=True))
        expected = BrokerUnreachable if isinstance(failure, BrokerUnreachable) else Unconfirmed
        if expected is Unconfirmed:
            assert [type(fate) for fate in await batch] == [Unconfirmed] * 4
            assert isinstance(publisher._lanes[0]._tasks[0].exception(), LookupError)
        else:
            with pytest.raises(BrokerUnreachable):
                await batch
        with pytest.raises(expected):
            await publishing(publisher, "5")

    play(act, window=2)


def test_nothing_is_sent_on_a_channel_that_was_closed_a_moment_ago():
    async def act(publisher, link):
        first = publishing(publisher, "1")
        await settle_down()
        (old,) = link.channels
        old.abandon()  # whoever keeps a channel open hears of it in the next iteration
        second = asyncio.ensure_future(publisher.publish_all([Outgoing("x", "k", b"", "2")]))
        publisher.pump()
        assert old.raw.sent == ["1"]
        await settle_down()
        _, new = link.channels
        assert new.raw.sent == ["2"]
        new.confirm(1)
        assert await second == [None]
        assert isinstance((await first)[0], Unconfirmed)

    play(act)


def test_what_cannot_be_encoded_takes_no_place_in_the_window():
    async def act(publisher, link):
        bad = asyncio.create_task(publisher.publish_all([Outgoing("x", "k" * 256, b"", "bad")]))
        good = publishing(publisher, "good")
        await settle_down()
        (channel,) = link.channels
        assert channel.raw.sent == ["good"]
        channel.confirm(1)
        assert await good == [None]
        with pytest.raises(ValueError, match="cannot be encoded"):
            await bad

    play(act, window=1)
