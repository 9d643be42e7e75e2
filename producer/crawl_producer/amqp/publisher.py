"""Publishing until confirmed: a line of messages, a window of unconfirmed ones, an outlet that is kept open.

Callers wait for one future per batch. Messages that do not fit into the window wait in line and are sent from
the callbacks that make room, so a full window costs no task switches.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Sequence

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.confirms import Batch, Entry
from crawl_producer.amqp.errors import Closed, again
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.outlet import Outlet, PublishCounts
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.broker import Outgoing
from crawl_producer.errors import PublishFailed, Unconfirmed

log = logging.getLogger(__name__)

#: How often per confirm_timeout_s the oldest unconfirmed message is looked at.
_LOOKS = 4
#: After a refusal a channel is replaced, at most this often. RabbitMQ 3.10 asks the node that a channel first
#: knew as a quorum queue's leader, and when that node is gone it refuses on this channel for ever.
RENEW_S = 1.0
#: Replacing waits this long for confirms; messages of a queue that never confirms must not hold up the rest.
_DRAIN_S = 1.0
_CLOSED = "the connection to RabbitMQ was closed by this process"


class Publisher:
    """The publishing side of a link.

    Args:
        link: a connection that only publishes.
        window: messages sent and not yet confirmed.
        confirm_timeout_s: a confirm that takes longer, not counting blocked time, will not come.

    Attributes:
        counts: what became of messages since the start.
    """

    def __init__(self, link: Link, *, window: int, confirm_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        link.on_unblocked = self.pump
        self._window = window
        self._timeout_s = confirm_timeout_s
        self._outlet: Outlet | None = None
        self._retiring: asyncio.TimerHandle | None = None
        self._line: deque[Entry] = deque()
        self._flushed = asyncio.Event()
        self._over: CrawlError | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.counts = PublishCounts()

    def __repr__(self) -> str:
        return f"<Publisher {len(self._line)} in line, {self._outlet!r}>"

    @property
    def unconfirmed(self) -> int:
        """Messages that wait for their confirm now."""
        return self._outlet.in_flight if self._outlet else 0

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
        outlet, line = self._outlet, self._line
        if not line or outlet is None or not outlet.channel.is_open or self._retiring or self._link.blocked:
            return
        now_s = self._loop.time()
        room = self._window - outlet.in_flight
        while line and room > 0:
            entry = line.popleft()
            if not entry.unwanted:
                room -= outlet.send(entry, now_s)

    async def close(self) -> None:
        """Wait a moment for outstanding confirms, then stop; the link is closed by its owner."""
        if self.unconfirmed and not self._link.blocked:
            self._flushed.clear()
            await _within(CLOSE_TIMEOUT_S, self._flushed.wait())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._end(Unconfirmed(_CLOSED))

    async def _keep_open(self) -> None:
        over: CrawlError = Unconfirmed(_CLOSED)
        try:
            while True:
                self._outlet = outlet = await self._open()
                self._stay(outlet)
                reason = await asyncio.shield(outlet.channel.closed)
                self._outlet = None
                outlet.lose(reason)
                self._flushed.set()
        except CrawlError as error:
            over = error
        finally:
            self._end(over)

    async def _open(self) -> Outlet:
        while True:
            try:
                return await Outlet.open(self._link, self.counts, self._on_settled)
            except Closed as closed:
                log.debug("the publishing channel closed while it was opened: %s", closed)

    def _on_settled(self) -> None:
        outlet = self._outlet
        if outlet is None:
            return
        if outlet.refused and not self._retiring and self._loop.time() - outlet.opened_s >= RENEW_S:
            self._retiring = self._loop.call_later(_DRAIN_S, self._stay, outlet)
        if not outlet.in_flight:
            self._flushed.set()
            if self._retiring:
                outlet.channel.abandon()
        self.pump()

    def _stay(self, outlet: Outlet) -> None:
        """Go on with this outlet: it is new, or could not be replaced now."""
        if self._retiring is not None:
            self._retiring.cancel()
            self._retiring = None
        outlet.opened_s, outlet.refused = self._loop.time(), False
        self.pump()

    async def _watch(self) -> None:
        """Give a channel up whose oldest confirm is overdue: its window would stay taken for ever."""
        while True:
            await asyncio.sleep(self._timeout_s / _LOOKS)
            outlet, now_s = self._outlet, self._loop.time()
            if outlet is None or (oldest := outlet.oldest) is None:
                continue
            if self._link.blocked:
                outlet.wait_anew(now_s)
            elif now_s - oldest.sent_s > self._timeout_s:
                await self._give_up(outlet, f"no confirm of {oldest} within {self._timeout_s:g} s")

    async def _give_up(self, outlet: Outlet, reason: str) -> None:
        log.warning("%s; opening another channel", reason)
        self._outlet = None
        outlet.fail(reason)
        wire = self._link.current
        if not await _within(CLOSE_TIMEOUT_S, outlet.channel.close()) and wire is not None:
            wire.abort("no answer to the close of a channel")

    def _end(self, error: CrawlError) -> None:
        """There will be no connection any more: whoever waits in line learns why, and whoever comes later."""
        self._over = self._over or error
        if self._outlet is not None:
            self._outlet.fail(str(error))
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
