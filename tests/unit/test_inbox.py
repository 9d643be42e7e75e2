"""Seeding from an inbox on the in-memory broker: nothing is let go before it is safe, and an end when it is empty."""

import asyncio
import json
import re

import pytest

from crawl_dedup import LedgerName, MemoryLedger, MemoryLedgerStore
from crawl_producer import names
from crawl_producer.admission import Admission
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.errors import PublishFailed, TopologyMissing, Unroutable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.own_routes import Reach
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.sources.inbox import PREFETCH, Inbox
from crawl_producer.sources.service import drain
from polling import until
from small_world import topology


class World:
    """A crawl with queue ``q``, and an inbox ``in``."""

    def __init__(self):
        self.broker = MemoryBroker()
        self.ledger = MemoryLedger(MemoryLedgerStore(), LedgerName("c"), "one")
        self.stop = asyncio.Event()

    async def declare(self, *queues):
        for exchange in ("x", names.DEAD):
            await self.broker.declare(Exchange(exchange, "direct"))
        for queue, exchange, key in queues or (("q", "x", "k"), ("in", "x", "in"), ("dead.in", names.DEAD, "in")):
            await self.broker.declare(Queue(queue, {"x-queue-type": "quorum"}))
            await self.broker.bind(Binding(exchange, queue, key))

    async def send(self, *bodies):
        await self.broker.publish_all([Outgoing("x", "in", body.encode(), message_id="") for body in bodies])

    async def drain(self, *, follow=False):
        admission = Admission([self.ledger], self.broker, Router(topology().crawls["c"]))
        seeding = Seeding("c", admission, self.ledger.seed_parent)
        async with MemoryBroker(self.broker.server) as client, Inbox(client, "in") as inbox:
            routes = Reach(topology(), "c", "main")
            return await drain(inbox, seeding, routes=routes, stop=self.stop, follow=follow)

    async def left(self, queue):
        return (await self.broker.depth(queue)).ready


def play(story):
    async def run():
        world = World()
        async with asyncio.timeout(30), world.broker:
            await story(world)

    asyncio.run(run())


def urls(count):
    return [f"https://e.org/{n}" for n in range(count)]


def test_what_is_there_is_admitted_and_acknowledged():
    async def story(world):
        await world.declare()
        await world.send(*urls(3), '{"url": "https://e.org/3"}')
        report = await world.drain()
        assert (report.admitted, report.lines) == (4, 4)
        assert (await world.left("in"), await world.left("q")) == (0, 4)

    play(story)


def test_more_than_a_window_holds_is_taken_in_turns():
    async def story(world):
        await world.declare()
        await world.send(*urls(PREFETCH + 300))
        assert (await world.drain()).admitted == PREFETCH + 300
        assert await world.left("in") == 0

    play(story)


def test_bad_ones_go_to_the_dead_letters_byte_for_byte_with_the_reason():
    async def story(world):
        await world.declare()
        await world.send("nonsense", "https://e.org/", '{"uri": 1}')
        report = await world.drain()
        assert (report.admitted, report.rejected) == (1, 2)
        letters = [(stored.body, stored.headers) for stored in world.broker.server.queue("dead.in").ready]
        assert [body for body, _ in letters] == [b"nonsense", b'{"uri": 1}']
        assert [headers["crawl-reason"] for _, headers in letters] == ["undecodable: syntax", "undecodable: no_url"]
        assert {headers["crawl-queue"] for _, headers in letters} == {"in"}

    play(story)


def test_what_is_said_of_a_url_travels_with_it_and_what_cannot_be_is_a_dead_letter():
    said = {"url": "https://e.org/", "to": "article", "route": "k", "meta": {"section": "politics"}}
    bad = [
        {"meta": ["no object"]},
        {"to": "__init__"},
        {"priority": 11},
        {"route": "nowhere"},
        {"meta": {"\ud800": []}},
    ]

    async def story(world):
        await world.declare()
        await world.send(*(json.dumps(one) for one in (said, *({"url": "https://e.org/b", **one} for one in bad))))
        report = await world.drain()
        assert (report.admitted, report.rejected) == (1, len(bad))
        (message,) = [UrlMessage.decode(stored.body) for stored in world.broker.server.queue("q").ready]
        assert (message.to, message.route, message.meta) == ("article", ("", "k"), {"section": "politics"})
        reasons = [stored.headers["crawl-reason"] for stored in world.broker.server.queue("dead.in").ready]
        words = [re.match(r"undecodable: (\w+)", reason)[1] for reason in reasons]
        assert words == ["meta", "to", "priority", "route", "meta"]
        assert reasons[3].endswith("route 'nowhere' of exchange 'x' comes to no queue; bound there: 'k'")
        assert all(reason.encode() for reason in reasons)

    play(story)


def test_a_dead_letter_without_a_place_keeps_everything_in_the_inbox():
    async def story(world):
        await world.declare(("q", "x", "k"), ("in", "x", "in"))
        await world.send("https://e.org/", "nonsense")
        with pytest.raises(PublishFailed):
            await world.drain()
        assert await world.left("in") == 2

    play(story)


def test_urls_that_no_queue_wants_are_in_the_outbox_and_leave_the_inbox():
    async def story(world):
        await world.declare(("in", "x", "in"), ("dead.in", names.DEAD, "in"))
        await world.send("https://e.org/")
        report = await world.drain()
        assert (report.unroutable, await world.left("in")) == (1, 0)
        assert (await world.ledger.progress()).outboxes == 1
        with pytest.raises(Unroutable):
            await world.broker.publish(Outgoing("x", "k", b"", message_id=""))

    play(story)


def test_an_inbox_that_is_not_there_is_said():
    async def story(world):
        await world.declare(("q", "x", "k"))
        with pytest.raises(TopologyMissing):
            await world.drain()

    play(story)


def test_a_service_waits_for_more_until_it_is_told_to_stop():
    async def story(world):
        await world.declare()
        running = asyncio.create_task(world.drain(follow=True))
        for number, url in enumerate(urls(3), start=1):
            await world.send(url)
            await until(lambda number=number: len(world.broker.server.queue("q").ready) == number)
        assert not running.done()
        world.stop.set()
        assert (await running).admitted == 3

    play(story)
