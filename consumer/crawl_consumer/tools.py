"""What the story of a URL needs besides its crawl's own rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crawl_consumer.parsing import Parsing
from crawl_consumer.politeness import Gate, OpenGate
from crawl_consumer.robots import NoRobots, Robots
from crawl_consumer.robots_fetch import Asks
from crawl_consumer.sink import Sink
from crawl_consumer.spider import Spider
from crawl_consumer.suspects import Company
from crawl_consumer.tally import Tally
from crawl_consumer.traps import Traps
from crawl_producer.broker import Broker
from crawl_producer.own_routes import AnyRoute, OwnRoutes


@dataclass(frozen=True, slots=True)
class Tools:
    """Shared by all stories of a crawl and group in one process.

    Attributes:
        broker: where successors are published.
        fetcher: sends GETs.
        spider: of queues that have none of their own.
        sinks: by the work queues that the pages' URLs come from.
        robots: what sites allow.
        gate: when hosts may be asked.
        company: who else fetches in this process.
        parsing: where pages are parsed.
        tally: what became of deliveries.
        own_routes: judges the routes that spiders name.
        traps: hosts that are not asked any more.
        spiders: of work queues that have their own.
    """

    broker: Broker
    fetcher: Asks
    spider: Spider
    sinks: Mapping[str, Sink]
    robots: Robots = field(default_factory=NoRobots)
    gate: Gate = field(default_factory=OpenGate)
    company: Company = field(default_factory=Company)
    parsing: Parsing = field(default_factory=Parsing)
    tally: Tally = field(default_factory=Tally)
    own_routes: OwnRoutes = field(default_factory=AnyRoute)
    traps: Traps = field(default_factory=Traps)
    spiders: Mapping[str, Spider] = field(default_factory=dict)

    def spider_of(self, queue: str) -> Spider:
        """The spider of a work queue."""
        return self.spiders.get(queue, self.spider)
