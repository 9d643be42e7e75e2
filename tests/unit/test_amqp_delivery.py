"""A delivery settles itself once, on its own channel only; and nothing is settled that nobody has settled."""

import asyncio

import pytest
from pika import BasicProperties

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


def test_the_broker_waits_for_acknowledgements_and_hands_out_no_more_than_the_prefetch():
    async def main():
        channel = Channel()

        class Link:
            async def channel(self):
                return channel

        subscription = AmqpSubscription(
            Link(), "q", prefetch=5, deliver=print, tag="me", counts=Settlements(), backoff=Backoff(1, 1)
        )
        await subscription.start()
        await subscription._stop_keeper()
        return {method: kwargs for method, _, kwargs in channel.raw.sent}

    sent = asyncio.run(main())
    assert sent["basic_qos"] == {"prefetch_count": 5}
    assert not sent["basic_consume"].get("auto_ack")
