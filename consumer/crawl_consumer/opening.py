"""Opening a consumer: Redis, broker, ledgers, sink, fetchers and intake, closed again in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from crawl_consumer.crawl import Crawl
from crawl_consumer.fetch import Fetcher, FetchLimits, user_agent
from crawl_consumer.host_headers import HostHeaders
from crawl_consumer.host_tls import host_tls
from crawl_consumer.intake import Intake
from crawl_consumer.parsing import Parsing
from crawl_consumer.politeness import STORIES_PER_PLACE, Gate, OpenGate, PoliteGate
from crawl_consumer.response_cache import Cached, CachedGate, ResponseCache
from crawl_consumer.robots import NoRobots, Robots, RobotsGate, token_of
from crawl_consumer.robots_fetch import Asks
from crawl_consumer.robots_turn import InTurn
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.sink import Sink
from crawl_consumer.sinks.by_queue import open_sinks
from crawl_consumer.sinks.choosing import Surroundings
from crawl_consumer.spider import Spider
from crawl_consumer.spiders.choosing import spiders_for
from crawl_consumer.suspects import Company
from crawl_consumer.tools import Tools
from crawl_consumer.traps import Traps
from crawl_consumer.worker import Worker
from crawl_dedup import (
    BatchedRedis,
    Ledger,
    LedgerName,
    Novelty,
    RedisNovelty,
    RedisRobots,
    RedisSlots,
    RobotsCache,
    Slots,
)
from crawl_producer import names, opening
from crawl_producer.admission import Admission, Limits
from crawl_producer.amqp import AmqpBroker
from crawl_producer.broker import Broker
from crawl_producer.guard import Guard
from crawl_producer.own_routes import Reach
from crawl_producer.own_servers import own_servers
from crawl_producer.routing import Router
from crawl_producer.special_addresses import Address
from crawl_producer.topology import CrawlSpec, PolitenessSpec, Topology, UniqueContentSpec

PROGRAM = "crawl-consumer"


@dataclass(frozen=True, slots=True)
class Servers:
    """What consumers share: RabbitMQ and Redis, or what stands for them in one process.

    Attributes:
        consumer: our name there, which no other consumer has.
        broker: where deliveries come from.
        slots: the slots of hosts.
        ledger: opens a crawl's and group's memory.
        robots: the shared memory of robots.txt files, under a name of its own.
        novelty: what hosts have brought to a crawl and group that looks for traps.
        redis: where outputs may write lists; None: there is no Redis.
    """

    consumer: str
    broker: Broker
    slots: Slots
    ledger: Callable[[LedgerName], AbstractAsyncContextManager[Ledger]]
    robots: Callable[[str], RobotsCache]
    novelty: Callable[[LedgerName, UniqueContentSpec], Novelty]
    redis: BatchedRedis | None = None


@asynccontextmanager
async def opened(settings: ConsumerSettings, topology: Topology) -> AsyncIterator[Worker]:
    """A worker on RabbitMQ and Redis that is ready to run.

    Raises:
        CrawlError: something that is needed cannot be had; nothing was taken from a queue.
    """
    consumer = opening.identity(PROGRAM)
    spiders = spiders_for(settings.queues, topology, named=settings.spider, file=settings.file)
    async with (
        opening.redis(topology, PROGRAM) as redis,
        AmqpBroker(topology.connection, name=PROGRAM) as broker,
    ):

        @asynccontextmanager
        async def ledger(name: LedgerName) -> AsyncIterator[Ledger]:
            async with opening.ledgers(redis, topology, name.crawl, [name.group], consumer=consumer) as (only,):
                yield only

        robots = lambda asking: RedisRobots(redis, consumer=asking)  # noqa: E731

        def novelty(name: LedgerName, spec: UniqueContentSpec) -> Novelty:
            return RedisNovelty(redis, name, of_last=spec.of_last, least_new=spec.least_new)

        servers = Servers(consumer, broker, RedisSlots(redis), ledger, robots, novelty, redis)
        async with opened_on(servers, settings, topology, spiders) as worker:
            yield worker


@asynccontextmanager
async def opened_on(
    servers: Servers, settings: ConsumerSettings, topology: Topology, spiders: Mapping[str, Spider]
) -> AsyncIterator[Worker]:
    """A worker on these servers; raises as :func:`opened` does."""
    async with AsyncExitStack() as stack:
        around = Surroundings(servers.broker, servers.redis, servers.consumer.replace("/", "_").replace(":", "-"))
        shared = _Shared(
            servers,
            settings,
            topology,
            spiders,
            await open_sinks(settings, topology, around, stack),
            await own_servers(topology),
            await stack.enter_async_context(Parsing()),
            asyncio.Semaphore(settings.concurrency),
            ResponseCache(settings.cache) if settings.cache else None,
        )
        crawls = {name: await shared.crawl(name, stack) for name in ledger_names(settings, topology)}
        stories = _stories(settings, topology)
        intake = await stack.enter_async_context(Intake(servers.broker, settings.queues, slots=stories))
        by_queue = {
            derived: crawls[_ledger_name(queue, topology)]
            for queue in settings.queues
            for derived in (queue, names.due_queue(queue))
        }
        yield Worker(settings, intake=intake, crawls=by_queue, broker=servers.broker, stories=stories)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the crawls of a process have in common, and how each of them is opened with it."""

    servers: Servers
    settings: ConsumerSettings
    topology: Topology
    spiders: Mapping[str, Spider]
    sinks: Mapping[str, Sink]
    own: Collection[tuple[Address, int]]
    parsing: Parsing
    places: asyncio.Semaphore
    cache: ResponseCache | None
    company: Company = field(default_factory=Company)

    async def crawl(self, name: LedgerName, stack: AsyncExitStack) -> Crawl:
        """A crawl and group, open until ``stack`` is."""
        servers, spec = self.servers, self.topology.crawls[name.crawl]
        ledger = await stack.enter_async_context(servers.ledger(name))
        fetcher = await stack.enter_async_context(self._fetcher(name, spec))
        robots = await self._robots(name, spec, fetcher, stack)
        pages: Asks = fetcher
        gate = _gate(spec.politeness, servers.slots, self.places, name, fetcher)
        if self.cache:
            pages = cached = Cached(fetcher, self.cache)
            gate = CachedGate(gate, cached)
        unique = spec.scope.unique_content
        tools = Tools(
            servers.broker,
            pages,
            Spider(),
            self.sinks,
            robots,
            gate,
            self.company,
            self.parsing,
            own_routes=Reach(self.topology, name.crawl, name.group),
            traps=Traps(servers.novelty(name, unique) if unique else None),
            spiders=_of(name, self.spiders, self.topology),
        )
        admission = Admission([ledger], servers.broker, Router(spec), limits=Limits.of(spec.scope))
        return Crawl(name.crawl, spec, ledger=ledger, admission=admission, tools=tools)

    def _fetcher(self, name: LedgerName, spec: CrawlSpec) -> Fetcher:
        return Fetcher(
            FetchLimits.of(spec.limits),
            user_agent=user_agent(spec.user_agent),
            connections=self.settings.concurrency,
            guard=Guard(spec.allow_networks, self.own),
            hosts=self.settings.hosts,
            host_headers=HostHeaders(spec.hosts, self.settings.secrets) if spec.hosts else None,
            host_tls=host_tls(name.crawl, spec.hosts),
            cookies=spec.cookies,
        )

    async def _robots(self, name: LedgerName, spec: CrawlSpec, fetcher: Fetcher, stack: AsyncExitStack) -> Robots:
        if not spec.robots.obey:
            return NoRobots()
        asks: Asks = InTurn(fetcher, self.servers.slots, spec.politeness) if spec.politeness.delay_s else fetcher
        asks = Cached(asks, self.cache) if self.cache else asks
        memory = self.servers.robots(f"{self.servers.consumer} {name}")
        return await stack.enter_async_context(RobotsGate(asks, memory, spec.robots, token=token_of(spec)))


def ledger_names(settings: ConsumerSettings, topology: Topology) -> tuple[LedgerName, ...]:
    """The ledgers that the queues of these settings belong to, each once."""
    return tuple(dict.fromkeys(_ledger_name(queue, topology) for queue in settings.queues))


def _of(name: LedgerName, spiders: Mapping[str, Spider], topology: Topology) -> dict[str, Spider]:
    return {queue: spider for queue, spider in spiders.items() if _ledger_name(queue, topology) == name}


def _ledger_name(queue: str, topology: Topology) -> LedgerName:
    spec = topology.queues[queue]
    return LedgerName(spec.crawl, spec.group)


def _gate(spec: PolitenessSpec, slots: Slots, places: asyncio.Semaphore, name: LedgerName, fetcher: Fetcher) -> Gate:
    return PoliteGate(spec, slots, places, name=name, address=fetcher.address) if spec.delay_s else OpenGate()


def _stories(settings: ConsumerSettings, topology: Topology) -> int:
    """Deliveries in hand at once: more than are fetched, where some must wait for their hosts."""
    polite = any(topology.crawls[name.crawl].politeness.delay_s for name in ledger_names(settings, topology))
    return settings.concurrency * (STORIES_PER_PLACE if polite else 1)
