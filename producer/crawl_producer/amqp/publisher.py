"""Publishing until confirmed: a window of unconfirmed messages on one channel, reopened when it goes.

Callers wait for one future per batch. Messages that do not fit into the window wait in line and are sent from
the callbacks that make room, so a full window costs no task switches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from pika import BasicProperties
from pika.spec import Basic

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.confirms import Batch, Confirms, Entry
from crawl_producer.amqp.errors import Closed, again
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishFailed, PublishRefused, Unconfirmed, Unroutable

log = logging.getLogger(__name__)

#: AMQP's delivery mode for messages that survive a restart of the broker.
_PERSISTENT = 2
#: How often per confirm_timeout_s the oldest unconfirmed message is looked at.
_LOOKS = 4
_CLOSED = "the connection to RabbitMQ was closed by this process"


class Publisher:
    """The publishing side of a link.

    Args:
        link: a connection that only publishes.
        window: messages sent and not yet confirmed.
        confirm_timeout_s: a confirm that takes longer, not counting blocked time, will not come.

    Attributes:
        published, confirmed, returned, nacked: counts since the start.
    """

    def __init__(self, link: Link, *, window: int, confirm_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        link.on_unblocked = self.pump
        self._window = window
        self._timeout_s = confirm_timeout_s
        self._channel: Channel | None = None
        self._line: deque[Entry] = deque()
        self._confirms = Confirms()
        self._flushed = asyncio.Event()
        self._over: CrawlError | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.published = self.confirmed = self.returned = self.nacked = 0

    def __repr__(self) -> str:
        return f"<Publisher {len(self._line)} in line, {self.unconfirmed} in flight, {self.confirmed} confirmed>"

    @property
    def unconfirmed(self) -> int:
        """Messages that wait for their confirm now."""
        return len(self._confirms)

    def start(self) -> None:
        """Begin to keep a channel open; returns at once."""
        self._tasks = [
            asyncio.create_task(self._keep_open(), name="amqp publisher"),
            asyncio.create_task(self._watch(), name="amqp confirms"),
        ]

    async def publish_all(self, messages: Sequence[Outgoing]) -> list[PublishFailed | None]:
        """See :meth:`crawl_producer.broker.Broker.publish_all`."""
        if not messages:
            return []
        if self._over is not None:
            raise again(self._over)
        batch = Batch(len(messages))
        self._line.extend([Entry(message, batch, place) for place, message in enumerate(messages)])
        self.pump()
        await batch.done
        return batch.results()

    def pump(self) -> None:
        """Send from the line what fits into the window; called whenever there may be room."""
        channel, line, confirms = self._channel, self._line, self._confirms
        if not line or channel is None or self._link.blocked:
            return
        now_s = self._loop.time()
        while line and len(confirms) < self._window and channel.is_open:
            entry = line.popleft()
            if entry.unwanted:
                continue
            entry.sent_s = now_s
            if self._send(channel, entry):
                confirms.sent(entry)

    async def close(self) -> None:
        """Wait a moment for outstanding confirms, then stop; the link is closed by its owner."""
        if self.unconfirmed and self._channel is not None and not self._link.blocked:
            self._flushed.clear()
            await _within(CLOSE_TIMEOUT_S, self._flushed.wait())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._end(Unconfirmed(_CLOSED))

    def _send(self, channel: Channel, entry: Entry) -> bool:
        message = entry.message
        try:
            channel.raw.basic_publish(
                message.exchange,
                message.routing_key,
                message.body,
                BasicProperties(  # type: ignore[no-untyped-call]
                    headers=dict(message.headers), delivery_mode=_PERSISTENT, message_id=message.message_id
                ),
                mandatory=True,
            )
        except Exception as error:  # noqa: BLE001 - whatever pika's encoder thinks of strange values
            # Nothing was sent. Not raised here: this may run inside a callback of pika's, which must not raise.
            entry.settle(ValueError(f"{entry} cannot be encoded for AMQP: {error!r}"))
            return False
        self.published += 1
        return True

    async def _keep_open(self) -> None:
        over: CrawlError = Unconfirmed(_CLOSED)
        try:
            while True:
                self._channel = channel = await self._open()
                self.pump()
                reason = await asyncio.shield(channel.closed)
                self._channel = None
                self._lose(reason)
        except CrawlError as error:
            over = error
        finally:
            self._end(over)

    async def _open(self) -> Channel:
        while True:
            try:
                channel = await self._link.channel()
                channel.raw.add_on_return_callback(self._on_return)
                await channel.call(channel.raw.confirm_delivery, self._on_confirm)
            except Closed as closed:
                log.debug("the publishing channel closed while it was opened: %s", closed)
            else:
                self._confirms = Confirms()
                return channel

    async def _watch(self) -> None:
        """Give a channel up whose oldest confirm is overdue: its window would stay taken for ever."""
        while True:
            await asyncio.sleep(self._timeout_s / _LOOKS)
            now_s = self._loop.time()
            if self._link.blocked:
                for entry in self._confirms:
                    entry.sent_s = now_s
            oldest, channel = self._confirms.oldest, self._channel
            if oldest is not None and channel is not None and now_s - oldest.sent_s > self._timeout_s:
                await self._give_up(channel, f"no confirm of {oldest} within {self._timeout_s:.0f} s")

    async def _give_up(self, channel: Channel, reason: str) -> None:
        log.warning("%s; opening another channel", reason)
        self._channel = None
        self._fail(self._confirms.take_all(), reason)
        wire = self._link.current
        if not await _within(CLOSE_TIMEOUT_S, channel.close()) and wire is not None:
            wire.abort("no answer to the close of a channel")

    def _on_return(self, _channel: object, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        if not self._confirms.returned(method.exchange, method.routing_key, properties.message_id, method.reply_text):
            log.error("RabbitMQ returned message %r, which is not in flight", properties.message_id)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        nacked = isinstance(method, Basic.Nack)
        for entry in self._confirms.settled(method.delivery_tag, multiple=method.multiple):
            if nacked:
                self.nacked += 1
                entry.settle(PublishRefused(f"a queue refused {entry}", remedy="it is full: see crawl-status"))
            elif entry.returned is not None:
                self.returned += 1
                entry.settle(Unroutable(f"no queue wants {entry}: {entry.returned}", remedy="crawl-topology check"))
            else:
                self.confirmed += 1
                entry.settle(None)
        if not self.unconfirmed:
            self._flushed.set()
        self.pump()

    def _lose(self, reason: Closed) -> None:
        """The channel went: messages for the exchange to blame learn why, others that nothing is known."""
        entries = self._confirms.take_all()
        self._flushed.set()
        if reason.exchange is not None:
            for entry in entries:
                if entry.message.exchange == reason.exchange:
                    entry.settle(reason.as_error())
            entries = [entry for entry in entries if entry.message.exchange != reason.exchange]
        self._fail(entries, str(reason))

    def _fail(self, entries: Iterable[Entry], reason: str) -> None:
        for entry in entries:
            entry.settle(Unconfirmed(f"not known to be confirmed: {entry}: {reason}"))

    def _end(self, error: CrawlError) -> None:
        """There will be no connection any more: whoever waits in line learns why, and whoever comes later."""
        self._over = self._over or error
        self._fail(self._confirms.take_all(), str(error))
        while self._line:
            self._line.popleft().settle(again(error))


async def _within(timeout_s: float, work: Awaitable[object]) -> bool:
    """Whether the work was done in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except TimeoutError:
        return False
    return True
