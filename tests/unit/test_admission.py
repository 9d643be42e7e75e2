"""The door, step by step: nothing is finished before its last confirm, and a commit that Redis lost is made again."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from crawl_dedup import LedgerName, MemoryLedger, MemoryLedgerStore, Verdict
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import PublishRefused, Unroutable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from small_world import HOME, topology

NAME = LedgerName("c")
LINKS = [UrlMessage(crawl="c", url=HOME + name, root="site.example") for name in ("a", "b")]
TWO_TRIES = 2


class Door:
    """A ledger, a broker with one queue, and what is to happen when messages have been published."""

    def __init__(self):
        self.store = MemoryLedgerStore()
        self.ledger = MemoryLedger(self.store, NAME, "one")
        self.broker = Watched(self)
        self.page = self.ledger.fingerprint(HOME)
        self.on_published = lambda: None
        self.held = asyncio.Event()
        self.held.set()

    def admission(self, **options):
        return Admission([self.ledger], self.broker, Router(topology().crawls["c"]), **options)

    async def queue(self, **arguments):
        await self.broker.declare(Exchange("x", "direct"))
        await self.broker.declare(Queue("q", {"x-queue-type": "quorum", **arguments}))
        await self.broker.bind(Binding("x", "q", "k"))

    async def outboxes(self):
        return (await self.ledger.progress()).outboxes

    @property
    def ready(self):
        return [UrlMessage.decode(stored.body).url for stored in self.broker.server.queue("q").ready]


class Watched(MemoryBroker):
    def __init__(self, door):
        super().__init__()
        self._door = door

    async def publish_all(self, messages):
        """The messages are in their queues, and their confirms may be held back."""
        fates = await super().publish_all(messages)
        happening, self._door.on_published = self._door.on_published, lambda: None
        happening()
        await self._door.held.wait()
        return fates


@asynccontextmanager
async def a_door(**arguments):
    door = Door()
    async with door.broker, door.ledger:
        await door.queue(**arguments)
        yield door


def played(act, **arguments):
    async def main():
        async with asyncio.timeout(10), a_door(**arguments) as door:
            return await act(door)

    return asyncio.run(main())


async def settle_down():
    """Let everything that can run, run."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_page_is_not_finished_before_the_last_confirm():
    async def act(door):
        door.held.clear()
        admitting = asyncio.create_task(door.admission().admit(Work(door.page, "ok", LINKS)))
        await settle_down()
        assert (len(door.ready), await door.outboxes(), admitting.done()) == (2, 1, False)
        door.held.set()
        assert (await admitting).admitted == 2
        assert await door.outboxes() == 0
        assert (await door.ledger.begin(door.page)).verdict is Verdict.DONE

    played(act)


def test_what_an_earlier_run_left_is_not_finished_before_it_is_published():
    async def act(door):
        full = [Outgoing("x", "k", b"", "in the way")] * 2
        await door.broker.publish_all(full)
        with pytest.raises(PublishRefused):
            await door.admission().admit(Work(door.page, "ok", LINKS))
        left = (await door.ledger.begin(door.page)).outbox
        with pytest.raises(PublishRefused):
            await door.admission().resume(left)
        assert (await door.ledger.begin(door.page)).outbox == left
        await door.broker.purge("q")
        assert await door.admission().resume(left)
        return door.ready, await door.outboxes()

    assert played(act, **{"x-max-length": 2, "x-overflow": "reject-publish"}) == ([link.url for link in LINKS], 0)


def test_a_commit_that_redis_has_lost_is_made_again_before_the_page_is_finished():
    async def act(door):
        door.on_published = lambda: door.store.forget(NAME)
        await door.admission().admit(Work(door.page, "ok", LINKS))
        books = await door.ledger.progress()
        return door.ready, books.open, books.outcomes

    urls = [link.url for link in LINKS]
    assert played(act) == (urls * TWO_TRIES, 2, {"ok": 1})


def test_an_outbox_that_redis_has_lost_is_not_finished():
    async def act(door):
        door.held.clear()
        killed = asyncio.create_task(door.admission().admit(Work(door.page, "ok", LINKS)))
        await settle_down()
        killed.cancel()
        door.held.set()
        left = (await door.ledger.begin(door.page)).outbox
        door.on_published = lambda: door.store.forget(NAME)
        return await door.admission().resume(left)

    assert not played(act)


def test_seeding_ends_with_the_last_confirm():
    async def act(door):
        door.held.clear()
        seeding = Seeding("c", door.admission(refused_tries=None), door.ledger.seed_parent)
        running = asyncio.create_task(seeding.run(parse([HOME])))
        while not door.ready:
            await asyncio.sleep(0)
        await settle_down()
        assert not running.done()
        assert seeding.report.admitted == 0
        door.held.set()
        return (await running).admitted, await door.outboxes()

    assert played(act) == (1, 0)


def test_seeds_that_no_queue_wants_are_not_called_admitted():
    async def act(door):
        door.broker.server.delete_queue("q")
        report = await Seeding("c", door.admission(), door.ledger.seed_parent).run(parse([HOME]))
        assert (report.admitted, report.unroutable) == (0, 1)
        with pytest.raises(Unroutable):
            await door.admission().admit(Work(door.page, "ok", LINKS))
        return await door.outboxes()

    assert played(act) == 2
