"""Several publishing channels that share a line and a window, with a broker that says whatever the test wants."""

import asyncio

import pytest

from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.lane import RENEW_S
from crawl_producer.amqp.publisher import CHUNK, LANES, Publisher
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.errors import BrokerUnreachable, PublishRefused, Unconfirmed
from polling import until
from scripted_channels import FakeLink, publishing, settle_down

#: Enough for every channel.
MANY = 3 * LANES * CHUNK


def play(act, *, window=MANY, timeout_s=60, most_channels=1_000):
    async def run():
        link = FakeLink()
        link.most_channels = most_channels
        publisher = Publisher(link, window=window, confirm_timeout_s=timeout_s)
        publisher.start()
        async with asyncio.timeout(10):
            await settle_down()
            await act(publisher, link)
            await publisher.close()

    asyncio.run(run())


def batch(publisher, messages, name="m"):
    return publishing(publisher, *(f"{name}{n}" for n in range(messages)))


def sent(link):
    return [len(channel.raw.sent) for channel in link.channels]


async def busy(publisher, link):
    """Every channel open and something in flight on it."""
    batches = []
    while len(link.channels) < LANES or not all(sent(link)):
        batches.append(batch(publisher, CHUNK, f"b{len(batches)}."))
        await settle_down()
    return batches


async def confirmed(link, *batches):
    """Confirm until these batches are done."""
    while not all(one.done() for one in batches):
        for channel in link.channels:
            if channel.is_open and channel.raw.sent:
                channel.confirm_all()
        await settle_down()


def test_who_publishes_little_has_one_channel():
    async def act(publisher, link):
        for _ in range(50):
            await confirmed(link, batch(publisher, CHUNK))
        assert len(link.channels) == 1

    play(act)


def test_who_publishes_much_has_several_which_are_equally_busy():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        batches += [batch(publisher, MANY)]
        await settle_down()
        assert len(link.channels) == LANES
        assert max(sent(link)) - min(sent(link)) <= CHUNK
        assert publisher.unconfirmed == sum(sent(link)) == publisher.counts.published == MANY
        await confirmed(link, *batches)
        assert [fate for one in batches for fate in one.result() if fate is not None] == []
        assert publisher.counts.confirmed == publisher.counts.published == sum(len(one.result()) for one in batches)

    play(act)


@pytest.mark.parametrize("window", [1, 7, CHUNK, CHUNK + 1, MANY])
def test_a_batch_may_take_the_whole_window_and_all_channels_together_no_more(window):
    async def act(publisher, link):
        one = batch(publisher, 2 * MANY)
        await settle_down()
        while not one.done():
            # Confirmed here and there, as they come: what is free is taken at once, by whichever channel.
            assert publisher.unconfirmed == min(window, 2 * MANY - publisher.counts.confirmed)
            for channel in link.channels:
                channel.confirm_all()
                assert publisher.unconfirmed <= window
            await settle_down()
        assert publisher.counts.published == 2 * MANY

    play(act, window=window)


def test_a_channel_that_the_broker_does_not_allow_costs_nothing_but_itself():
    async def act(publisher, link):
        one = batch(publisher, MANY)
        await confirmed(link, one)
        assert len(link.channels) == 1
        await confirmed(link, batch(publisher, MANY))
        assert link.denied == 1
        assert one.result() == [None] * MANY

    play(act, most_channels=1)


def test_a_limit_that_costs_the_connection_is_met_once():
    async def act(publisher, link):
        async def channel():
            if sum(channel.is_open for channel in link.channels) < 2:
                return await FakeLink.channel(link)
            link.denied += 1
            for channel in link.channels:
                if channel.is_open:
                    channel.closed.set_result(Closed(530, "reached the limit", lost=False))
            raise Closed(530, "reached the limit", lost=False)

        link.channel = channel
        while not link.denied:
            await confirmed(link, batch(publisher, MANY))
        later = [batch(publisher, MANY) for _ in range(10)]
        await confirmed(link, *later)
        assert link.denied == 1
        assert [fate for one in later for fate in one.result() if fate is not None] == []
        assert sum(channel.is_open for channel in link.channels) == 2

    play(act)


def test_the_only_channel_is_asked_for_until_it_is_allowed():
    async def act(publisher, link):
        one = batch(publisher, 1)
        await settle_down()
        assert link.denied == 1
        link.most_channels = 1
        await until(lambda: link.channels and link.channels[0].raw.sent)
        await confirmed(link, one)

    play(act, most_channels=0)


def test_what_a_lost_channel_leaves_free_is_taken_by_the_others_at_once():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        batches += [batch(publisher, MANY)]
        await settle_down()
        later = batch(publisher, CHUNK, "later")
        await settle_down()
        assert publisher.unconfirmed == MANY
        link.most_channels = 0
        link.channels[0].closed.set_result(Closed(404, "no exchange 'y' in vhost '/'", lost=False))
        await settle_down()
        assert publisher.unconfirmed > MANY - CHUNK
        await confirmed(link, later, *batches)
        assert later.result() == [None] * CHUNK

    play(act)


def test_a_channel_that_waits_for_a_confirm_holds_up_no_other():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        stuck, *others = link.channels
        all_in = publisher.counts.published + MANY
        later = batch(publisher, MANY)
        while publisher.counts.published < all_in or publisher.unconfirmed > len(stuck.raw.sent):
            for channel in others:
                channel.confirm_all()
            await settle_down()
        assert len(stuck.raw.sent) <= 3 * CHUNK
        stuck.confirm_all()
        await asyncio.gather(later, *batches)

    play(act)


def test_after_a_refusal_on_one_channel_all_old_ones_are_replaced():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        old = list(link.channels)
        for lane in publisher._lanes:
            lane.outlet.opened_s -= RENEW_S
        old[0].confirm(1, nack=True)
        later = batch(publisher, CHUNK, "later")
        for channel in old:
            assert not any(name.startswith("later") for name in channel.raw.sent)
            channel.confirm_all()
        await settle_down()
        assert [channel.abandoned for channel in old] == [1] * LANES
        assert len(link.channels) == 2 * LANES
        await confirmed(link, later, *batches)
        fates = [fate for one in batches for fate in one.result()]
        assert [type(fate) for fate in fates if fate is not None] == [PublishRefused]

    play(act)


def test_a_channel_that_idles_is_replaced_at_once():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        idle, *_, other = link.channels
        idle.confirm_all()
        for lane in publisher._lanes:
            lane.outlet.opened_s -= RENEW_S
        other.confirm(1, nack=True)
        assert idle.abandoned == 1
        await confirmed(link, *batches)

    play(act)


def test_an_overdue_confirm_costs_its_channel_and_no_other():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        stuck, *others = link.channels
        overdue = len(stuck.raw.sent)
        for channel in others:
            channel.confirm_all()
        await asyncio.gather(*batches)
        fates = [fate for one in batches for fate in one.result() if fate is not None]
        assert [type(fate) for fate in fates] == [Unconfirmed] * overdue
        assert [channel.is_open for channel in link.channels[:LANES]] == [False, *[True] * (LANES - 1)]

    play(act, timeout_s=1)


def test_every_channel_goes_on_when_the_broker_reads_again():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        link.blocked = True
        for channel in link.channels:
            channel.confirm_all()
        before = sent(link)
        later = batch(publisher, MANY)
        await settle_down()
        assert sent(link) == before
        link.blocked = False
        link.on_unblocked()
        assert all(now > then for now, then in zip(sent(link), before, strict=True))
        await confirmed(link, later, *batches)

    play(act)


def test_closing_waits_for_the_confirms_of_all_channels():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        closing = asyncio.create_task(publisher.close())
        for channel in link.channels:
            await settle_down()
            assert not closing.done()
            channel.confirm_all()
        await closing
        assert [fate for one in batches for fate in await one if fate is not None] == []
        with pytest.raises(Unconfirmed):
            await batch(publisher, 1)

    play(act)


def test_who_leaves_while_the_broker_is_blocked_waits_for_nothing_and_leaves_nobody_waiting():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        batches += [batch(publisher, 3 * MANY)]
        await settle_down()
        link.blocked = True
        async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
            await publisher.close()
            for fates in await asyncio.gather(*batches, return_exceptions=True):
                assert isinstance(fates, Unconfirmed) or {type(fate) for fate in fates} == {Unconfirmed}
        assert publisher.unconfirmed == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(act)


def test_when_the_connection_is_gone_for_good_nobody_waits_on_any_channel():
    async def act(publisher, link):
        batches = await busy(publisher, link)
        in_line = batch(publisher, 2 * MANY)
        await settle_down()
        link.failure = BrokerUnreachable("no node answers")
        for channel in link.channels:
            channel.closed.set_result(Closed(0, "reset", lost=True))
        for one in (*batches, in_line):
            fates = await asyncio.gather(one, return_exceptions=True)
            assert isinstance(fates[0], BrokerUnreachable) or {type(fate) for fate in fates[0]} == {Unconfirmed}
        assert publisher.unconfirmed == 0

    play(act)
