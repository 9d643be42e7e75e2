"""Acknowledgements of one channel, several in one frame: each by itself would be a step of the queue's log.

A quorum queue writes what is settled to its log, and hands out as many messages as were settled. Told in groups, it
and its node take three tenths less for a page. Nobody waits for an acknowledgement: one that is lost with its
connection means that the message comes again, and whoever gets it finds it done.
"""

import asyncio

from crawl_producer.amqp.channel import Channel

#: An acknowledgement waits so long for others, unless …
DELAY_S = 0.05
#: … the broker would have nothing left to send meanwhile: this part of the prefetch may be held back.
_PART_HELD_BACK = 4


class Acknowledgements:
    """The deliveries of one channel that are not settled yet.

    Args:
        channel: the channel, on which one queue is consumed.
        prefetch: deliveries that may be unsettled at once.

    Attributes:
        channel: as given.
    """

    def __init__(self, channel: Channel, prefetch: int) -> None:
        self.channel = channel
        self._loop = asyncio.get_running_loop()
        self._most = prefetch // _PART_HELD_BACK
        self._unsettled: dict[int, bool] = {}  #: by tag, in the order of delivery: whether it is acknowledged
        self._waiting = 0
        self._last = 0
        self._gapless = True
        self._timer: asyncio.TimerHandle | None = None

    def delivered(self, tag: int) -> None:
        """A message came. Tags count from 1 (https://www.rabbitmq.com/docs/confirms#consumer-acks-delivery-tags)."""
        self._gapless = self._gapless and tag == self._last + 1
        self._last = tag
        self._unsettled[tag] = False

    def ack(self, tag: int) -> None:
        """Settle a message for good, in a moment; at once when nothing else is in hand."""
        self._unsettled[tag] = True
        self._waiting += 1
        if self._waiting > self._most or self._nothing_is_in_hand:
            self.send()
        elif self._timer is None:
            self._timer = self._loop.call_later(DELAY_S, self.send)

    def requeue(self, tag: int) -> None:
        """Give a message back to its queue."""
        del self._unsettled[tag]
        self.channel.raw.basic_nack(tag, requeue=True)
        if self._nothing_is_in_hand:
            self.send()

    @property
    def _nothing_is_in_hand(self) -> bool:
        return self._waiting == len(self._unsettled)

    def send_at_once(self) -> None:
        """Hold nothing back any more, because the channel is about to be closed."""
        self._most = 0
        self.send()

    def send(self) -> None:
        """Send what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        acknowledged = [tag for tag, done in self._unsettled.items() if done]
        for tag in acknowledged:
            del self._unsettled[tag]
        self._waiting = 0
        if not self.channel.is_open:
            return
        # Up to the first that is still in hand one frame says all, unless pika has kept a delivery from us.
        first = next(iter(self._unsettled), self._last + 1)
        covered = [tag for tag in acknowledged if tag < first] if self._gapless else []
        if covered:
            self.channel.raw.basic_ack(covered[-1], multiple=True)
        for tag in acknowledged[len(covered) :]:
            self.channel.raw.basic_ack(tag)
