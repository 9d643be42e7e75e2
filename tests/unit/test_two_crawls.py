"""One process that serves two crawls: what is of one is none of the other's."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from crawl_consumer import worker
from crawl_consumer.opening import Servers, opened_on
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider
from crawl_dedup import LedgerName, MemoryLedger, MemoryLedgerStore, MemoryRobots, MemoryRobotsStore, MemorySlots
from crawl_producer.admission import Admission
from crawl_producer.derive import declarations
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.plan import apply, plan
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}},
        "queues": {
            f"{name}.pages": {"crawl": name, "bindings": [{"exchange": "x", "key": name}]} for name in ("news", "docs")
        },
        "crawls": {
            name: {"exchange": "x", "key": name, "robots": {"obey": False}, "politeness": {"delay_s": 0}}
            for name in ("news", "docs")
        },
    }
)
#: Nobody is asked for these.
BLOCKED = {"news": ["http://127.0.0.1/"], "docs": ["http://127.0.0.1/1", "http://127.0.0.1/2"]}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(worker, "COMPLETION_POLL_S", 0.01)


class Telling(Spider):
    name = "telling"

    def __init__(self):
        self.told = []

    def on_start(self):
        self.told.append("start")

    def on_finish(self, finished):
        self.told.append((finished.crawl, finished.admitted))


def test_the_spiders_of_each_crawl_are_told_of_its_life_and_of_no_other():
    store = MemoryLedgerStore()

    @asynccontextmanager
    async def ledger(name, consumer="consumer"):
        async with MemoryLedger(store, name, consumer) as opened:
            yield opened

    async def seed(broker, crawl, urls):
        async with ledger(LedgerName(crawl), "seeder") as own:
            admission = Admission([own], broker, Router(TOPOLOGY.crawls[crawl]))
            await Seeding(crawl, admission, own.seed_parent).run(parse(urls))

    async def main():
        spiders = {queue: Telling() for queue in TOPOLOGY.queues}
        robots = MemoryRobotsStore()
        async with MemoryBroker() as broker:
            await apply(await plan(declarations(TOPOLOGY), broker), broker)
            servers = Servers(
                "consumer", broker, MemorySlots(), ledger, lambda name: MemoryRobots(robots, name), lambda *_: None
            )
            settings = ConsumerSettings(tuple(TOPOLOGY.queues), until_done=True)
            async with opened_on(servers, settings, TOPOLOGY, spiders) as consumer:
                for crawl, urls in BLOCKED.items():
                    await seed(broker, crawl, urls)
                await consumer.run()
        return {queue: spider.told for queue, spider in spiders.items()}

    assert asyncio.run(main()) == {"news.pages": ["start", ("news", 1)], "docs.pages": ["start", ("docs", 2)]}
