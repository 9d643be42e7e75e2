"""A whole crawl in this process, without RabbitMQ and Redis: the same parts, on a broker and a ledger in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from crawl_consumer.opening import Servers, opened_on
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider
from crawl_consumer.tally import Tally
from crawl_consumer.workbench.rules import Rules
from crawl_consumer.workbench.waiting import Waiting, dead_letters, unreachable_robots, waiting
from crawl_consumer.worker import Worker
from crawl_dedup import (
    Ledger,
    LedgerName,
    MemoryLedger,
    MemoryLedgerStore,
    MemoryNovelty,
    MemoryNoveltyStore,
    MemoryRobots,
    MemoryRobotsStore,
    MemorySlots,
    Novelty,
    Progress,
)
from crawl_producer.admission import Admission, Limits
from crawl_producer.declarations import Declarations
from crawl_producer.derive import declarations
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from crawl_producer.topology import Topology, UniqueContentSpec

#: URLs of a trial unless told otherwise: at one request a second, as long as one likes to look at it.
DEFAULT_MAX_PAGES = 100
#: A trial in which nothing can be fetched for longer than this ends, and says what it would have waited for.
DEFAULT_PATIENCE_S = 60.0

_CONSUMER = "crawl-try"
#: Between two looks at what waits.
_LOOK_S = 0.5

Show = Callable[[Callable[[], Awaitable[Sequence[tuple[LedgerName, Progress]]]]], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial went.

    Attributes:
        books: of each group of the crawl.
        tally: what was done.
        waits: what is left waits for this; None: nothing that could be fetched later is left.
        dead: URL and reason of each dead letter.
        unreachable: what kept origins without robots.txt.
        seconds: it took so long.
    """

    books: tuple[tuple[LedgerName, Progress], ...]
    tally: Tally
    waits: Waiting | None
    dead: tuple[tuple[str, str], ...]
    unreachable: tuple[str, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every URL has ended."""
        return all(book.complete for _, book in self.books)


class Trial:
    """A crawl in this process, to be run once.

    Args:
        rules: the crawl's, and its topology.
        max_pages: URLs to admit in all; 0: as many as the crawl's own rules say.
    """

    def __init__(self, rules: Rules, *, max_pages: int = DEFAULT_MAX_PAGES) -> None:
        self.crawl = rules.crawl
        self.topology = _for_a_trial(rules, max_pages)
        self._broker = MemoryBroker()
        self._ledgers = MemoryLedgerStore()
        self._robots = MemoryRobotsStore()
        self._brought: dict[LedgerName, MemoryNoveltyStore] = {}

    @property
    def queues(self) -> tuple[str, ...]:
        """The crawl's work queues."""
        return tuple(name for name, queue in self.topology.queues.items() if queue.crawl == self.crawl)

    async def run(
        self,
        urls: Sequence[str],
        settings: ConsumerSettings,
        spiders: Mapping[str, Spider],
        *,
        patience_s: float,
        show: Show,
    ) -> Ended:
        """Crawl ``urls`` until complete, signalled, or out of patience.

        Args:
            urls: canonical seeds.
            settings: of the consumer that does it.
            spiders: take the pages of each queue apart.
            patience_s: seconds that may pass without anything to fetch.
            show: is given the books to show while the crawl runs.

        Raises:
            CrawlError: an output is gone, or cannot be had.
        """
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._broker)
            self._declare()
            novelty = self._novelty
            servers = Servers(_CONSUMER, self._broker, MemorySlots(), self._ledger, self._robots_under, novelty)
            worker = await stack.enter_async_context(opened_on(servers, settings, self.topology, spiders))
            await self._seed(urls)
            async with show(worker.books):
                waits = await self._work(worker, patience_s)
            return Ended(
                tuple(await worker.books()),
                worker.tally,
                waits,
                tuple(dead_letters(self._broker.server, self.queues)),
                tuple(unreachable_robots(self._robots)),
                time.monotonic() - started,
            )

    def _declare(self) -> None:
        wanted, server = _without_journals(self.topology), self._broker.server
        for exchange in wanted.exchanges:
            server.declare(exchange)
        for queue in wanted.queues:
            server.declare(queue)
        for binding in wanted.bindings:
            server.bind(binding)

    async def _work(self, worker: Worker, patience_s: float) -> Waiting | None:
        impatience = asyncio.create_task(self._out_of_patience(worker, patience_s))
        try:
            await worker.run()
        finally:
            impatience.cancel()
            await asyncio.wait([impatience])
        return None if impatience.cancelled() else impatience.result()

    async def _out_of_patience(self, worker: Worker, patience_s: float) -> Waiting:
        """Stop the worker when all that is left waits for longer than that, and say for what.

        Two looks, because between a queue and a story a URL is in neither.
        """
        seen: Waiting | None = None
        while True:
            await asyncio.sleep(_LOOK_S)
            now = None if worker.tally.in_flight else waiting(self._broker.server, self.queues)
            if now is not None and seen is not None and now.next_s > patience_s:
                worker.stop()
                return now
            seen = now

    async def _seed(self, urls: Sequence[str]) -> None:
        spec = self.topology.crawls[self.crawl]
        async with AsyncExitStack() as stack:
            ledgers = [
                await stack.enter_async_context(self._ledger(LedgerName(self.crawl, group), "seeder"))
                for group in self.topology.groups(self.crawl)
            ]
            admission = Admission(ledgers, self._broker, Router(spec), limits=Limits.of(spec.scope))
            rules = spec.canonical.rules()
            await Seeding(self.crawl, admission, ledgers[0].seed_parent, rules=rules).run(parse(urls))

    @asynccontextmanager
    async def _ledger(self, name: LedgerName, consumer: str = _CONSUMER) -> AsyncIterator[Ledger]:
        async with MemoryLedger(self._ledgers, name, consumer) as ledger:
            yield ledger

    def _robots_under(self, consumer: str) -> MemoryRobots:
        return MemoryRobots(self._robots, consumer)

    def _novelty(self, name: LedgerName, spec: UniqueContentSpec) -> Novelty:
        store = self._brought.setdefault(name, MemoryNoveltyStore())
        return MemoryNovelty(store, of_last=spec.of_last, least_new=spec.least_new)


def _for_a_trial(rules: Rules, max_pages: int) -> Topology:
    """The topology with the crawl's scope narrowed to this many URLs."""
    spec = rules.spec
    most = min(filter(None, (max_pages, spec.scope.max_pages)), default=None)
    narrowed = spec.model_copy(update={"scope": spec.scope.model_copy(update={"max_pages": most})})
    return rules.topology.model_copy(update={"crawls": {**rules.topology.crawls, rules.crawl: narrowed}})


def _without_journals(topology: Topology) -> Declarations:
    """A journal would keep a copy of each message in memory, for a repair that never comes."""
    crawls = {name: spec.model_copy(update={"journal": None}) for name, spec in topology.crawls.items()}
    return declarations(topology.model_copy(update={"crawls": crawls}))
