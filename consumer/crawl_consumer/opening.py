"""Opening a consumer: Redis, broker, ledgers, sink, fetchers and intake, closed again in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from crawl_consumer.crawl import Crawl, Tools
from crawl_consumer.fetch import Fetcher, FetchLimits, user_agent
from crawl_consumer.intake import Intake
from crawl_consumer.politeness import STORIES_PER_PLACE, Gate, OpenGate, PoliteGate
from crawl_consumer.robots import NoRobots, Robots, RobotsGate, token_of
from crawl_consumer.robots_turn import InTurn
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.sink import NullSink, Sink
from crawl_consumer.sinks.choosing import Surroundings, sink_for
from crawl_consumer.sinks.several import SeveralSinks
from crawl_consumer.spider import Spider
from crawl_consumer.spiders.choosing import spiders_for
from crawl_consumer.suspects import Company
from crawl_consumer.worker import Worker
from crawl_dedup import LedgerName, RedisRobots, RedisSlots, Slots
from crawl_producer import names, opening
from crawl_producer.admission import Admission
from crawl_producer.amqp import AmqpBroker
from crawl_producer.own_routes import Reach
from crawl_producer.routing import Router
from crawl_producer.topology import PolitenessSpec, Topology

PROGRAM = "crawl-consumer"


@asynccontextmanager
async def opened(settings: ConsumerSettings, topology: Topology) -> AsyncIterator[Worker]:
    """A worker that is ready to run.

    Raises:
        CrawlError: something that is needed cannot be had; nothing was taken from a queue.
    """
    consumer = opening.identity(PROGRAM)
    spiders = spiders_for(settings.queues, topology, named=settings.spider, file=settings.file)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(opening.redis(topology, PROGRAM))
        broker = await stack.enter_async_context(AmqpBroker(topology.connection, name=PROGRAM))
        around = Surroundings(broker, redis, consumer.replace("/", "_").replace(":", "-"), settings.rotation)
        sink = await stack.enter_async_context(_sink(settings.outputs, around))
        slots, places, company = RedisSlots(redis), asyncio.Semaphore(settings.concurrency), Company()
        crawls: dict[LedgerName, Crawl] = {}
        for name in ledger_names(settings, topology):
            spec = topology.crawls[name.crawl]
            (ledger,) = await stack.enter_async_context(
                opening.ledgers(redis, topology, name.crawl, [name.group], consumer=consumer)
            )
            fetcher = await stack.enter_async_context(
                Fetcher(
                    FetchLimits(),
                    user_agent=user_agent(spec.user_agent),
                    connections=settings.concurrency,
                    hosts=settings.hosts,
                )
            )
            robots: Robots = NoRobots()
            if spec.robots.obey:
                asks = InTurn(fetcher, slots, spec.politeness) if spec.politeness.delay_s else fetcher
                cache = RedisRobots(redis, consumer=f"{consumer} {name}")
                robots = await stack.enter_async_context(RobotsGate(asks, cache, spec.robots, token=token_of(spec)))
            admission = Admission([ledger], broker, Router(spec), max_pages=spec.scope.max_pages or 0)
            gate = _gate(spec.politeness, slots, places, name, fetcher)
            routes = Reach(topology, name.crawl)
            tools = Tools(broker, fetcher, Spider(), sink, robots, gate, company, own_routes=routes, spiders=spiders)
            crawls[name] = Crawl(name.crawl, spec, ledger=ledger, admission=admission, tools=tools)
        stories = _stories(settings, topology)
        intake = await stack.enter_async_context(Intake(broker, settings.queues, slots=stories))
        by_queue = {
            derived: crawls[_ledger_name(queue, topology)]
            for queue in settings.queues
            for derived in (queue, names.due_queue(queue))
        }
        yield Worker(settings, intake=intake, crawls=by_queue, broker=broker, stories=stories)


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


def _sink(outputs: Sequence[str], around: Surroundings) -> Sink:
    sinks = [sink_for(output, around) for output in outputs]
    return (sinks[0] if len(sinks) == 1 else SeveralSinks(sinks)) if sinks else NullSink()
