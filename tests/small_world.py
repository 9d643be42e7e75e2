"""A web of a few pages, and an in-memory broker and ledger for the consumers that crawl it."""

import asyncio
import time
from contextlib import nullcontext

from crawl_consumer.crawl import Crawl
from crawl_consumer.intake import Intake
from crawl_consumer.parsing import Parsing
from crawl_consumer.politeness import OpenGate, PoliteGate
from crawl_consumer.response import FailureKind, FetchFailure, Headers, Response
from crawl_consumer.robots import NoRobots, RobotsGate
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.sink import NullSink
from crawl_consumer.spider import Spider
from crawl_consumer.tools import Tools
from crawl_consumer.traps import Traps
from crawl_consumer.worker import Worker
from crawl_dedup import (
    LedgerName,
    MemoryLedger,
    MemoryLedgerStore,
    MemoryNovelty,
    MemoryNoveltyStore,
    MemoryRobots,
    MemoryRobotsStore,
    MemorySlots,
)
from crawl_producer.admission import Admission, Limits
from crawl_producer.declarations import Binding
from crawl_producer.derive import declarations
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.plan import apply, plan
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from crawl_producer.topology import Topology

HOME = "https://site.example/"


def html(*hrefs, title="a page"):
    body = f"<title>{title}</title>" + "".join(f'<a href="{href}">x</a>' for href in hrefs)
    return 200, {}, body.encode()


def rules(*lines):
    return 200, {}, "\n".join(["user-agent: *", *lines]).encode()


class SmallWeb:
    """A fetcher whose web is a dictionary: URL → (status, headers, body), or a failure, or a list of these in turn."""

    def __init__(self, pages):
        self.pages = pages
        self.fetched = []
        self.at = []

    async def fetch(self, url, *, first_bytes=None, headers=None):
        self.fetched.append(url)
        self.at.append(time.monotonic())
        page = self.pages.get(url, (404, {}, b""))
        if isinstance(page, list):
            page = page.pop(0) if len(page) > 1 else page[0]
        if isinstance(page, FailureKind):
            return FetchFailure(page, "as told", 1.0)
        if isinstance(page, Exception):
            raise page
        status, headers, body = page
        kind = headers.get("content-type", "text/html")
        return Response(url=url, status=status, headers=Headers(headers), body=body, content_type=kind)


class Kept(NullSink):
    def __init__(self):
        self.records, self.flushed = [], 0

    def write(self, record):
        self.records.append(record.fields)

    async def flush(self):
        self.flushed = len(self.records)


def topology(queue=(), **crawl):
    return Topology.model_validate(
        {
            "exchanges": {"x": {"type": "direct"}},
            "queues": {"q": {"crawl": "c", "bindings": [{"exchange": "x", "key": "k"}], **dict(queue)}},
            "crawls": {
                "c": {"exchange": "x", "key": "k", "retry": {"max_attempts": 2, "first_delay_s": 0.01}, **crawl}
            },
        }
    )


async def one_server(host):
    """The address of every host."""
    return "203.0.113.7"


class World:
    """A broker, a ledger and a web; consumers come and go."""

    def __init__(self, pages, **crawl):
        self.topology = topology(**crawl)
        self.obeys = crawl.get("robots", {"obey": False}).get("obey", True)
        self.broker = MemoryBroker()
        self.skew_s = 0
        self.store = MemoryLedgerStore(clock=lambda: time.monotonic() + self.skew_s)
        self.robots = MemoryRobotsStore()
        self.brought = MemoryNoveltyStore()
        self.web = SmallWeb(pages)
        self.sink = Kept()
        self.parsing = Parsing()
        self.slots = MemorySlots() if "politeness" in crawl else None

    async def __aenter__(self):
        await self.broker.__aenter__()
        await apply(await plan(declarations(self.topology), self.broker), self.broker)
        return self

    async def __aexit__(self, *exc):
        await self.broker.__aexit__(*exc)

    def ledger(self, consumer):
        return MemoryLedger(self.store, LedgerName("c"), consumer)

    async def seed(self, *urls):
        async with self.ledger("seeder") as ledger:
            spec = self.topology.crawls["c"]
            admission = Admission([ledger], self.broker, Router(spec), limits=Limits.of(spec.scope))
            rules = spec.canonical.rules()
            return await Seeding("c", admission, ledger.seed_parent, rules=rules).run(parse(urls))

    def gate(self, consumer):
        spec = self.topology.crawls["c"].robots
        if not self.obeys:
            return nullcontext(NoRobots())
        return RobotsGate(self.web, MemoryRobots(self.robots, consumer), spec, token="CrawlMQ")

    def client(self):
        return MemoryBroker(self.broker.server)

    def bind(self, key):
        """Let another routing key come to the queue."""
        self.broker.server.bind(Binding("x", "q", key))

    async def crawl(
        self, consumer="consumer", *, spider=None, concurrency=4, until_done=True, sink=None, key=None, shutdown_s=5
    ):
        spec = self.topology.crawls["c"]
        broker = self.client()
        async with broker, self.parsing, self.ledger(consumer) as ledger, self.gate(consumer) as robots:
            admission = Admission([ledger], broker, Router(spec, key=key), limits=Limits.of(spec.scope))
            gate = self.politeness(spec, concurrency)
            sinks = {"q": sink or self.sink}
            traps = self.traps(spec.scope)
            tools = Tools(broker, self.web, spider or Spider(), sinks, robots, gate, parsing=self.parsing, traps=traps)
            crawl = Crawl("c", spec, ledger=ledger, admission=admission, tools=tools)
            settings = ConsumerSettings(("q",), concurrency=concurrency, until_done=until_done, shutdown_s=shutdown_s)
            stories = 4 * concurrency if self.slots else concurrency
            async with Intake(broker, ["q"], slots=stories) as intake:
                crawls = {"q": crawl, "q.due": crawl}
                await Worker(settings, intake=intake, crawls=crawls, broker=broker, stories=stories).run()
                return crawl.tally

    def politeness(self, spec, concurrency):
        if self.slots is None:
            return OpenGate()
        places = asyncio.Semaphore(concurrency)
        return PoliteGate(spec.politeness, self.slots, places, name=LedgerName("c"), address=one_server)

    def traps(self, scope):
        rule = scope.unique_content
        if rule is None:
            return Traps()
        return Traps(MemoryNovelty(self.brought, of_last=rule.of_last, least_new=rule.least_new))

    async def progress(self):
        return await self.ledger("reader").progress()

    async def dead(self):
        """Every dead letter, as (reason, headers, body)."""
        letters = []
        reader = MemoryBroker(self.broker.server)
        async with reader:
            await reader.consume("dead.q", prefetch=100, deliver=letters.append)
            depth = self.broker.server.queue("dead.q")
            while depth.ready:
                await asyncio.sleep(0)
        return [(d.headers["crawl-reason"], dict(d.headers), d.body) for d in letters]
