"""One publishing channel, kept open: another takes its place when it is lost, refuses, or leaves a confirm out."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.errors import Closed
from crawl_producer.amqp.link import Link
from crawl_producer.amqp.outlet import Outlet, PublishCounts
from crawl_producer.amqp.wire import CLOSE_TIMEOUT_S
from crawl_producer.errors import Unconfirmed

log = logging.getLogger(__name__)

#: How often per confirm_timeout_s the oldest unconfirmed message is looked at.
_LOOKS = 4
#: After a refusal a lane's channel is replaced, at most this often. RabbitMQ 3.10 asks the node that a channel first
#: knew as a quorum queue's leader, and when that node is gone it refuses on this channel for ever.
RENEW_S = 1.0
#: Replacing waits this long for confirms; messages of a queue that never confirms must not hold up the rest.
_DRAIN_S = 1.0
CLOSED = "the connection to RabbitMQ was closed by this process"


class Owner(Protocol):
    """Whoever publishes over lanes; none of this must raise."""

    def lane_changed(self) -> None:
        """There may be room, or nothing in flight any more."""

    def lane_refused(self) -> None:
        """A queue has refused a message: what this channel is wrong about, the others may be too."""

    def lane_denied(self, lane: "Lane") -> None:
        """RabbitMQ allows it no channel; it asks again after a pause, unless it is stopped."""

    def lane_ended(self, lane: "Lane", reason: CrawlError) -> None:
        """It will have no channel any more."""


class Lane:
    """A place for one channel at a time.

    Args:
        link: the connection.
        counts: what becomes of messages, over all lanes.
        confirm_timeout_s: a confirm that takes longer, not counting blocked time, will not come.
        owner: is told what happens.
    """

    def __init__(self, link: Link, counts: PublishCounts, confirm_timeout_s: float, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = link
        self._counts = counts
        self._timeout_s = confirm_timeout_s
        self._owner = owner
        self._outlet: Outlet | None = None
        self._retiring: asyncio.TimerHandle | None = None
        self._tasks = [
            asyncio.create_task(self._keep_open(), name="amqp publishing lane"),
            asyncio.create_task(self._watch(), name="amqp confirms"),
        ]

    def __repr__(self) -> str:
        return f"<Lane {self._outlet!r}>"

    @property
    def outlet(self) -> Outlet | None:
        """The channel, while something can be sent on it."""
        outlet = self._outlet
        return None if outlet is None or self._retiring or not outlet.channel.is_open else outlet

    @property
    def in_flight(self) -> int:
        """Messages that wait for their confirm now."""
        return self._outlet.in_flight if self._outlet else 0

    def replace(self) -> None:
        """Take another channel as soon as nothing is in flight on this one, unless it is new."""
        outlet = self._outlet
        if outlet is not None and not self._retiring and self._loop.time() - outlet.opened_s >= RENEW_S:
            self._retiring = self._loop.call_later(_DRAIN_S, self._stay, outlet)
            self._leave_when_idle(outlet)

    def stop(self) -> None:
        """Begin to stop; what is in flight is then settled as unconfirmed."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Stop, and return when it is done."""
        self.stop()
        await asyncio.wait(self._tasks)

    async def _keep_open(self) -> None:
        over: CrawlError = Unconfirmed(CLOSED)
        try:
            while True:
                self._outlet = outlet = await self._open()
                self._stay(outlet)
                reason = await asyncio.shield(outlet.channel.closed)
                self._outlet = None
                outlet.lose(reason)
                self._owner.lane_changed()
        except CrawlError as error:
            over = error
        finally:
            if self._outlet is not None:
                self._outlet.fail(str(over))
                self._outlet = None
            self._owner.lane_ended(self, over)

    async def _open(self) -> Outlet:
        while True:
            try:
                return await Outlet.open(self._link, self._counts, self._on_settled)
            except Closed as closed:
                log.debug("the publishing channel closed while it was opened: %s", closed)
                if not closed.lost:
                    self._owner.lane_denied(self)
                    await asyncio.sleep(RENEW_S)

    def _on_settled(self) -> None:
        outlet = self._outlet
        if outlet is None:
            return
        if outlet.refused:
            self._owner.lane_refused()
        if self._retiring:
            self._leave_when_idle(outlet)
        self._owner.lane_changed()

    def _leave_when_idle(self, outlet: Outlet) -> None:
        if not outlet.in_flight and outlet.channel.is_open:
            outlet.channel.abandon()

    def _stay(self, outlet: Outlet) -> None:
        """Go on with this outlet: it is new, or could not be replaced now."""
        if self._retiring is not None:
            self._retiring.cancel()
            self._retiring = None
        outlet.opened_s, outlet.refused = self._loop.time(), False
        self._owner.lane_changed()

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
        self._owner.lane_changed()
        wire = self._link.current
        if not await within(CLOSE_TIMEOUT_S, outlet.channel.close()) and wire is not None:
            wire.abort("no answer to the close of a channel")


async def within(timeout_s: float, work: Awaitable[object]) -> bool:
    """Whether the work was done in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except TimeoutError:
        return False
    return True
