"""Publishing until confirmed: a line of messages, a window of unconfirmed ones, and channels that share both.

Callers wait for one future per batch. Messages that do not fit into the window wait in line and are sent from
the callbacks that make room, so a full window costs no task switches.

RabbitMQ lets a channel wait while a quorum queue has 32 of its messages still to write (``quorum_commands_soft_limit``;
https://github.com/rabbitmq/rabbitmq-server/blob/v3.10.8/deps/rabbit/src/rabbit_fifo_client.erl answers ``slow``), and
cores stand idle meanwhile. What several channels send is written together.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.confirms import Batch, Entry
from crawl_producer.amqp.errors import again
from crawl_producer.amqp.lane import CLOSED, Lane, within
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.outlet import Outlet, PublishCounts
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishFailed, Unconfirmed

log = logging.getLogger(__name__)

#: Channels at most: four let crawl-seed publish 11 to 22 % more than one.
LANES = 4
#: Messages that a channel gets at a time; when each that is open has so many in flight, another one is opened.
CHUNK = 100


class Publisher:
    """The publishing side of a link.

    Args:
        link: a connection that only publishes.
        window: messages sent and not yet confirmed, over all channels.
        confirm_timeout_s: a confirm that takes longer, not counting blocked time, will not come.

    Attributes:
        counts: what became of messages since the start, over all channels.
    """

    def __init__(self, link: Link, *, window: int, confirm_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        link.on_unblocked = self.pump
        self._window = window
        self._timeout_s = confirm_timeout_s
        self._lanes: list[Lane] = []
        self._most_lanes = LANES
        self._line: deque[Entry] = deque()
        self._flushed = asyncio.Event()
        self._over: CrawlError | None = None
        self.counts = PublishCounts()

    def __repr__(self) -> str:
        return f"<Publisher {len(self._line)} in line, {self._lanes}>"

    @property
    def unconfirmed(self) -> int:
        """Messages that wait for their confirm now."""
        return sum(lane.in_flight for lane in self._lanes)

    def start(self) -> None:
        """Begin to keep a channel open, and more when they are needed; returns at once."""
        self._lanes.append(Lane(self._link, self.counts, self._timeout_s, self))

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
        if not self._line or self._link.blocked:
            return
        now_s, room = self._loop.time(), self._window - self.unconfirmed
        while self._line and room > 0 and (outlet := self._freest()) is not None:
            room -= self._send(outlet, min(room, CHUNK), now_s)

    def lane_changed(self) -> None:
        """See :class:`crawl_producer.amqp.lane.Owner`, as for the next three."""
        self.pump()
        if not self.unconfirmed:
            self._flushed.set()

    def lane_refused(self) -> None:
        """Every channel is replaced, not only the one that refused: all may ask a leader that is no more."""
        for lane in self._lanes:
            lane.replace()

    def lane_denied(self, lane: Lane) -> None:
        """The others must do, once and for all: some limits cost the connection each time that they are met."""
        if len(self._lanes) > 1:
            self._lanes.remove(lane)
            self._most_lanes = len(self._lanes)
            log.info("RabbitMQ allows no more than %d publishing channels", self._most_lanes)
            lane.stop()

    def lane_ended(self, lane: Lane, reason: CrawlError) -> None:
        """Without a connection nobody has a channel."""
        if lane in self._lanes:
            self._end(reason)

    async def close(self) -> None:
        """Wait a moment for outstanding confirms, then stop; the link is closed by its owner."""
        if self.unconfirmed and not self._link.blocked:
            self._flushed.clear()
            await within(CLOSE_TIMEOUT_S, self._flushed.wait())
        self._end(Unconfirmed(CLOSED))
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    def _freest(self) -> Outlet | None:
        """The open channel with the fewest messages in flight; when all have many, the next time there is one more."""
        outlets = [outlet for lane in self._lanes if (outlet := lane.outlet) is not None]
        freest = min(outlets, key=lambda outlet: outlet.in_flight, default=None)
        if freest is not None and freest.in_flight >= CHUNK and len(outlets) == len(self._lanes) < self._most_lanes:
            self.start()
        return freest

    def _send(self, outlet: Outlet, most: int, now_s: float) -> int:
        sent = 0
        while self._line and sent < most:
            entry = self._line.popleft()
            if not entry.unwanted:
                sent += outlet.send(entry, now_s)
        return sent

    def _end(self, error: CrawlError) -> None:
        """There will be no connection any more: whoever waits in line learns why, and whoever comes later."""
        self._over = self._over or error
        while self._line:
            self._line.popleft().settle(again(error))
