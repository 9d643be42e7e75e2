"""A delivery settles itself once, on its own channel only; and nothing is settled that nobody has settled."""

import asyncio

import pytest
from pika import BasicProperties
from pika.spec import Basic

from crawl_producer.amqp.acknowledgements import Acknowledgements
from crawl_producer.amqp.delivery import AmqpDelivery, Settlements
from crawl_producer.amqp.nodes import Backoff
from crawl_producer.amqp.subscriber import AmqpSubscription

TAG = 7


class Raw:
    """pika's channel, which writes down what would be sent."""

    def __init__(self):
        self.sent = []

    def __getattr__(self, method):
        return lambda *args, **kwargs: self.sent.append((method, args, kwargs))


class Channel:
    def __init__(self):
        self.raw = Raw()
        self.is_open = True
        self.closed = asyncio.get_running_loop().create_future()

    async def call(self, method, *args, **kwargs):
        method(*args, **kwargs)

    async def close(self):
        self.raw.close()


def delivery(is_open=True):
    async def make():
        channel, counts = Channel(), Settlements()
        channel.is_open = is_open
        settling = Acknowledgements(channel, prefetch=1)
        settling.delivered(TAG)
        return AmqpDelivery("q", b"", False, BasicProperties(), settling, TAG, counts), channel.raw.sent, counts

    return asyncio.run(make())


def test_an_acknowledgement_is_sent_once_with_the_tag():
    it, sent, counts = delivery()
    assert it.ack()
    assert (sent, counts) == ([("basic_ack", (TAG,), {})], Settlements(acked=1))
    with pytest.raises(RuntimeError):
        it.ack()
    assert len(sent) == 1


def test_what_is_given_back_goes_to_its_queue_and_is_not_acknowledged():
    it, sent, counts = delivery()
    assert it.requeue()
    assert (sent, counts) == ([("basic_nack", (TAG,), {"requeue": True})], Settlements())


@pytest.mark.parametrize("settle", [AmqpDelivery.ack, AmqpDelivery.requeue])
def test_on_a_channel_that_is_gone_nothing_is_sent_and_it_is_counted(settle):
    it, sent, counts = delivery(is_open=False)
    assert not settle(it)
    assert (sent, counts) == ([], Settlements(stale_acks=1))


def subscribed(channel, deliver, prefetch):
    class Link:
        async def channel(self):
            return channel

    return AmqpSubscription(
        Link(), "q", prefetch=prefetch, deliver=deliver, tag="me", counts=Settlements(), backoff=Backoff(1, 1)
    )


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_acknowledgements_that_wait_leave_before_a_subscription_ends(end):
    async def main():
        channel, came = Channel(), []
        channel.raw.consumer_tags = ["me"]
        subscription = subscribed(channel, came.append, prefetch=64)
        await subscription.start()
        receive = next(args[1] for method, args, _ in channel.raw.sent if method == "basic_consume")
        for tag in (1, 2, 3):
            receive(None, Basic.Deliver(delivery_tag=tag), BasicProperties(), b"")
        came[0].ack()
        await getattr(subscription, end)()
        came[1].ack()
        called = [(method, *args) for method, args, _ in channel.raw.sent]
        return [call for call in called if call[0] in {"basic_ack", "basic_cancel", "close"}]

    last = ("basic_cancel", "me") if end == "cancel" else ("close",)
    assert asyncio.run(main()) == [("basic_ack", 1), last, ("basic_ack", 2)]


def test_the_broker_waits_for_acknowledgements_and_hands_out_no_more_than_the_prefetch():
    async def main():
        channel = Channel()
        subscription = subscribed(channel, print, prefetch=5)
        await subscription.start()
        await subscription._stop_keeper()
        return {method: kwargs for method, _, kwargs in channel.raw.sent}

    sent = asyncio.run(main())
    assert sent["basic_qos"] == {"prefetch_count": 5}
    assert not sent["basic_consume"].get("auto_ack")
