"""A small world that writes down what its consumers do, in order, and in which anything may happen meanwhile.

A trail's words: ``fetch``, ``keep`` (the links are in the outbox), ``link``, ``retry``, ``parked`` and ``dead``
(this successor is confirmed), an error's name (it is not), ``done`` (the ledger has ended the URL), ``free`` (its
lease is dropped), ``acked``, and ``stale`` (an acknowledgement that never reached the broker).
"""

import asyncio

from crawl_dedup import LedgerName, MemoryLedger
from crawl_producer import names
from crawl_producer.errors import PublishRefused, Unconfirmed
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from small_world import HOME, SmallWeb, World

_DELAYS = {names.delay_exchange(ms) for ms in names.DELAYS_MS}


class Killed(BaseException):
    """The process is gone: no clean-up of its own reaches the ledger."""


class Watched(World):
    def __init__(self, pages, **crawl):
        super().__init__(pages, **crawl)
        self.trail = []
        self.upon = {}  #: what happens at the first such event
        self.unconfirmed = 0  #: the confirms of so many publications get lost
        self.refused = 0  #: so many publications are refused, as by a quorum queue without a leader
        self.killed = None
        self.web = WatchedWeb(pages, self)

    def ledger(self, consumer):
        return WatchedLedger(self, consumer)

    def client(self):
        self.connection = WatchedBroker(self)
        return self.connection

    def saw(self, event, url):
        event = f"{event} {url.removeprefix(HOME[:-1])}"
        self.trail.append(event)
        self.upon.pop(event, lambda: None)()

    async def told(self, consumer="first", **options):
        """The trail of one consumer, until the crawl is complete, or it ends otherwise."""
        self.trail = []
        try:
            async with asyncio.timeout(20):
                await self.crawl(consumer, **{"concurrency": 1, **options})
        finally:
            self.waiting = [UrlMessage.decode(m.body).url for m in self.broker.server.queue("q").ready]
        return self.trail

    def lose_connection(self):
        """Of the consumer that is at work; it gets another."""
        self.connection.lose_connection()

    def kill(self):
        """kill -9 of the first consumer, from within an event."""
        self.killed = "first"
        raise Killed


class WatchedWeb(SmallWeb):
    def __init__(self, pages, world):
        super().__init__(pages)
        self._world = world

    async def fetch(self, url, *, first_bytes=None, headers=None):
        self._world.saw("fetch", url)
        return await super().fetch(url, first_bytes=first_bytes, headers=headers)


class WatchedLedger(MemoryLedger):
    def __init__(self, world, consumer):
        super().__init__(world.store, LedgerName("c"), consumer)
        self._world, self._urls = world, {}
        self.fingerprint = self._known

    def _known(self, url):
        found = self._world.store.fingerprint(url)
        self._urls[found] = url
        return found

    def _saw(self, event, url):
        self._world.saw(event, self._urls.get(url, "what is not ours"))

    async def commit(self, commit):
        committed = await super().commit(commit)
        self._saw("keep" if committed.outbox else "done", commit.parent)
        return committed

    async def finish(self, parent):
        finished = await super().finish(parent)
        self._saw("done" if finished else "lost", parent)
        return finished

    async def release(self, url, *, next_attempt=0):
        if self._consumer != self._world.killed:
            await super().release(url, next_attempt=next_attempt)
            self._saw("free", url)

    async def leave(self):
        if self._consumer != self._world.killed:
            await super().leave()


class WatchedBroker(MemoryBroker):
    def __init__(self, world):
        super().__init__(world.broker.server)
        self._world = world

    async def publish_all(self, messages):
        if self._world.refused:
            self._world.refused -= 1
            fates = [PublishRefused("its queue has no leader") for _ in messages]
        else:
            fates = await super().publish_all(messages)
        if self._world.unconfirmed:
            self._world.unconfirmed -= 1
            fates = [Unconfirmed("no confirm came, but the queue has it") for _ in messages]
        for message, fate in zip(messages, fates, strict=True):
            self._world.saw(type(fate).__name__ if fate else _kind(message), UrlMessage.decode(message.body).url)
        return fates

    async def consume(self, queue, *, prefetch, deliver):
        return await super().consume(
            queue, prefetch=prefetch, deliver=lambda delivery: deliver(WatchedDelivery(delivery, self._world))
        )


class WatchedDelivery:
    def __init__(self, delivery, world):
        self._delivery, self._world = delivery, world

    def __getattr__(self, name):
        return getattr(self._delivery, name)

    def ack(self):
        arrived = self._delivery.ack()
        self._world.saw("acked" if arrived else "stale", UrlMessage.decode(self.body).url)
        return arrived


def _kind(message):
    if message.exchange == names.DEAD:
        return "dead"
    if message.exchange in _DELAYS:
        return "retry" if UrlMessage.decode(message.body).attempt else "parked"
    return "link"
