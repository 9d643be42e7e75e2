"""One publishing channel: sends messages, and settles each by what the broker says of it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pika import BasicProperties
from pika.spec import Basic

from crawl_dedup.crash_points import lost
from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.confirms import Confirms, Entry
from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.link import Link
from crawl_producer.errors import PublishRefused, Unconfirmed, Unroutable

log = logging.getLogger(__name__)

#: RabbitMQ does not say which (https://www.rabbitmq.com/docs/confirms#server-sent-nacks).
_REFUSED = "it is full, or a quorum queue without a leader just now: see crawl-status"


@dataclass(slots=True)
class PublishCounts:
    """What became of messages since the start, over all channels."""

    published: int = 0
    confirmed: int = 0
    returned: int = 0
    nacked: int = 0


class Outlet:
    """A channel in confirm mode. Open one with :meth:`open`.

    Args:
        channel: open, used for nothing else.
        counts: the publisher's.
        on_settled: called after every confirm; must not raise.

    Attributes:
        channel: the channel.
        opened_s: loop time of opening.
        refused: whether a queue has refused a message since then.
    """

    def __init__(self, channel: Channel, counts: PublishCounts, on_settled: Callable[[], None]) -> None:
        self.channel = channel
        self.opened_s = asyncio.get_running_loop().time()
        self.refused = False
        self._counts = counts
        self._on_settled = on_settled
        self._confirms = Confirms()

    def __repr__(self) -> str:
        return f"<Outlet {self.in_flight} in flight on {self.channel!r}>"

    @classmethod
    async def open(cls, link: Link, counts: PublishCounts, on_settled: Callable[[], None]) -> Self:
        """Open a channel and switch confirms on. Raises Closed, BrokerUnreachable or BrokerRefused."""
        channel = await link.channel()
        outlet = cls(channel, counts, on_settled)
        channel.raw.add_on_return_callback(outlet._on_return)
        await channel.call(channel.raw.confirm_delivery, outlet._on_confirm)
        return outlet

    @property
    def in_flight(self) -> int:
        """Messages sent and not yet confirmed."""
        return len(self._confirms)

    @property
    def oldest(self) -> Entry | None:
        """The message that has waited longest for its confirm."""
        return self._confirms.oldest

    def send(self, entry: Entry, now_s: float) -> bool:
        """Send a message, or settle it with ValueError when AMQP cannot carry it; whether it was sent."""
        try:
            self.channel.publish(entry.message)
        except Exception as error:  # noqa: BLE001 - whatever pika's encoder thinks of strange values
            # Nothing was sent. Not raised here: this may run inside a callback of pika's, which must not raise.
            entry.settle(ValueError(f"{entry} cannot be encoded for AMQP: {error!r}"))
            return False
        entry.sent_s = now_s
        self._confirms.sent(entry)
        self._counts.published += 1
        return True

    def wait_anew(self, now_s: float) -> None:
        """Count every message's wait for its confirm from now on: the broker was blocked until now."""
        for entry in self._confirms:
            entry.sent_s = now_s

    def fail(self, reason: str) -> None:
        """Settle everything in flight as unconfirmed."""
        for entry in self._confirms.take_all():
            entry.settle(Unconfirmed(f"not known to be confirmed: {entry}: {reason}"))

    def lose(self, reason: Closed) -> None:
        """The channel went: messages for the exchange to blame learn why, the others that nothing is known."""
        blamed = reason.exchange
        for entry in self._confirms.take_all():
            if blamed is not None and entry.message.exchange == blamed:
                entry.settle(reason.as_error())
            else:
                entry.settle(Unconfirmed(f"not known to be confirmed: {entry}: {reason}"))

    def _on_return(self, _channel: object, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        exchange, key, message_id = method.exchange, method.routing_key, properties.message_id
        if not self._confirms.returned(exchange, key, message_id, method.reply_text):
            log.error("RabbitMQ returned message %r, which is not in flight", message_id)

    def _on_confirm(self, frame: Any) -> None:
        if lost("publish.reply"):
            self.channel.drop_connection("as a crash point asks")
            return
        method = frame.method
        nacked = isinstance(method, Basic.Nack)
        self.refused = self.refused or nacked
        for entry in self._confirms.settled(method.delivery_tag, multiple=method.multiple):
            self._settle(entry, nacked=nacked)
        self._on_settled()

    def _settle(self, entry: Entry, *, nacked: bool) -> None:
        if nacked:
            self._counts.nacked += 1
            entry.settle(PublishRefused(f"a queue refused {entry}", remedy=_REFUSED))
        elif entry.returned is not None:
            self._counts.returned += 1
            entry.settle(Unroutable(f"no queue wants {entry}: {entry.returned}", remedy="crawl-topology check"))
        else:
            self._counts.confirmed += 1
            entry.settle(None)
