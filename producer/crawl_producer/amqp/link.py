"""A connection that comes back: opened once, supervised, replaced by the next node's when it is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crawl_dedup.errors import CrawlError
from crawl_producer.amqp.channel import Channel
from crawl_producer.amqp.errors import Closed, again
from crawl_producer.amqp.nodes import NodeWalk
from crawl_producer.amqp.wire import Wire
from crawl_producer.errors import BrokerUnreachable

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: A connection that lived this long was a good one: the next walk begins without a pause.
HEALTHY_S = 60.0


class Link:
    """One supervised connection to the cluster.

    Args:
        walk: finds a node.

    Attributes:
        failure: resolved with the reason when no connection is to be had any more.
        on_unblocked: called when the broker reads from us again; must not raise.
        on_gave_up: called with the reason when no node was found or one refused us; not when we close.
    """

    def __init__(self, walk: NodeWalk) -> None:
        self._loop = asyncio.get_running_loop()
        self._walk = walk
        self._wire: asyncio.Future[Wire] = self._loop.create_future()
        self._supervisor: asyncio.Task[None] | None = None
        self._blocked_before_s = 0.0
        self._epoch = 0
        self.on_unblocked: Callable[[], None] = _nothing
        self.on_gave_up: Callable[[CrawlError], None] | None = None
        self.failure: asyncio.Future[CrawlError] = self._loop.create_future()

    def __repr__(self) -> str:
        return f"<Link {self.current!r}, {self.reconnects} reconnects>"

    @property
    def current(self) -> Wire | None:
        """The open connection, or None while there is none."""
        return self._wire.result() if self._wire.done() and not self.failure.done() else None

    @property
    def reconnects(self) -> int:
        """How often a lost connection was replaced."""
        return max(0, self._epoch - 1)

    @property
    def blocked(self) -> bool:
        """Whether the broker refuses to read from us now."""
        return self.current is not None and self.current.blocked

    @property
    def blocked_s(self) -> float:
        """Seconds that the broker refused to read from us, over all connections."""
        return self._blocked_before_s + (self.current.blocked_s if self.current else 0.0)

    async def open(self) -> None:
        """Connect. Raises BrokerUnreachable or BrokerRefused."""
        _quieten_pika()
        self._supervisor = asyncio.create_task(self._supervise(), name="amqp link")
        await self.wire()

    async def wire(self) -> Wire:
        """The open connection, waiting for it where need be.

        Raises:
            BrokerUnreachable, BrokerRefused: there will be none any more.
        """
        while True:
            if self.failure.done():
                raise again(self.failure.result())
            if self._wire.done():
                return self._wire.result()
            await asyncio.wait((self._wire, self.failure), return_when=asyncio.FIRST_COMPLETED)

    async def channel(self) -> Channel:
        """A new channel on the open connection. Raises Closed, BrokerUnreachable or BrokerRefused."""
        return await Channel.open(await self.wire())

    async def once(self, work: Callable[[Channel], Awaitable[_T]]) -> _T:
        """Do something repeatable on a channel of its own; a connection lost meanwhile means doing it again.

        Raises:
            ProducerError: what the broker's refusal means, or there is no connection to be had.
        """
        while True:
            try:
                channel = await self.channel()
                try:
                    return await work(channel)
                finally:
                    channel.abandon()
            except Closed as closed:
                if not closed.lost:
                    raise closed.as_error() from closed

    async def close(self) -> None:
        """Close the connection in order, or give up connecting; nothing is left behind either way."""
        wire = self.current
        self._fail(BrokerUnreachable("the connection to RabbitMQ was closed by this process"))
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait((self._supervisor,))
        if wire is not None:
            await wire.close()
        await self._walk.drain()

    async def _supervise(self) -> None:
        try:
            while True:
                wire = await self._walk.connect()
                self._adopt(wire)
                reason = await asyncio.shield(wire.closed)
                log.warning("connection to %s lost: %s", wire.node, reason)
                await self._pause_after(wire)
        except CrawlError as error:
            self._fail(error)
            if self.on_gave_up is not None:
                self.on_gave_up(error)
        finally:
            # Reached without a failure only by a defect, which must not leave anybody waiting.
            self._fail(BrokerUnreachable("the connection to RabbitMQ is no longer looked after"))

    def _adopt(self, wire: Wire) -> None:
        self._epoch += 1
        wire.epoch = self._epoch
        if wire.closed.done():
            return
        wire.on_closed = self._on_closed
        wire.on_unblocked = self.on_unblocked
        self._wire.set_result(wire)
        log.info("connected to %s, RabbitMQ %s", wire.node, wire.server_version)

    def _on_closed(self) -> None:
        self._blocked_before_s = self.blocked_s
        self._wire = self._loop.create_future()

    async def _pause_after(self, wire: Wire) -> None:
        if self._loop.time() - wire.opened_s >= HEALTHY_S:
            self._walk.backoff.reset()
        else:
            await asyncio.sleep(self._walk.backoff.next_s())

    def _fail(self, error: CrawlError) -> None:
        if not self.failure.done():
            self.failure.set_result(error)


def _quieten_pika() -> None:
    """Keep pika from logging, at ERROR and often with a traceback, what we handle and report ourselves.

    A level that somebody has set for the logger ``pika`` stays.
    """
    logger = logging.getLogger("pika")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _nothing() -> None:
    """Nobody listens yet."""
