"""The news example: front pages and articles on two queues, crawled in memory by the spider that its topology names."""

import asyncio
import sys
from pathlib import Path

import pytest

from crawl_consumer.crawl import Crawl
from crawl_consumer.intake import Intake
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider, load_spider
from crawl_consumer.spiders.choosing import spiders_for
from crawl_consumer.testing import page_from, run_spider
from crawl_consumer.tools import Tools
from crawl_consumer.worker import Worker
from crawl_dedup import LedgerName, MemoryLedger, MemoryLedgerStore
from crawl_producer.admission import Admission
from crawl_producer.derive import declarations
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from crawl_producer.names import work_queue
from crawl_producer.own_routes import Reach
from crawl_producer.plan import apply, plan
from crawl_producer.routing import Router
from crawl_producer.seeding import Seeding
from crawl_producer.seeds import parse
from crawl_producer.topology_file import Found, load
from small_world import Kept, SmallWeb

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEWS = EXAMPLES / "news.yaml"
SITE = "https://gazette.example/"


def front(title, *articles):
    nav = '<nav><a href="/politics">p</a><a href="/science">s</a></nav>'
    teasers = "".join(f'<article><a href="{article}">{article}</a></article>' for article in articles)
    return 200, {}, f"{nav}<h1>{title}</h1>{teasers}<a href=/imprint>i</a>".encode()


def article(headline, related=(), text="some words of it"):
    links = "".join(f'<a href="{one}">r</a>' for one in related)
    body = f'<h1>{headline}</h1><time datetime="2026-03-01">1 March</time><main>{text}</main><aside>{links}</aside>'
    return 200, {}, body.encode()


PAGES = {
    SITE: front("Home", "/a/1"),
    SITE + "politics": front("Politics", "/a/2", "/a/3"),
    SITE + "science": front("Science"),
    SITE + "a/1": article("One", ["/a/4"]),
    SITE + "a/2": article(""),
    SITE + "a/3": article("Three", text="short"),
    SITE + "a/4": article("Four"),
}


@pytest.fixture(autouse=True)
def _in_the_examples_folder(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


async def crawled(topology):
    """Crawl the site with one consumer; returns what was kept, who worked on what, the books and the dead letters."""
    broker, store, web, sink = MemoryBroker(), MemoryLedgerStore(), SmallWeb(PAGES), Kept()
    spec, queues = topology.crawls["gazette"], tuple(topology.queues)
    worked, letters = {queue: set() for queue in queues}, []
    async with broker, MemoryLedger(store, LedgerName("gazette"), "consumer") as ledger:
        await apply(await plan(declarations(topology), broker), broker)
        door = Admission([ledger], broker, Router(spec))
        await Seeding("gazette", door, ledger.seed_parent).run(parse([SITE]))
        spiders = spiders_for(queues, topology, file=NEWS)
        tools = Tools(
            broker,
            web,
            Spider(),
            dict.fromkeys(queues, sink),
            own_routes=Reach(topology, "gazette"),
            spiders=spiders,
        )
        crawl = Crawl("gazette", spec, ledger=ledger, admission=door, tools=tools)
        work = crawl.work

        async def noting(delivery):
            worked[work_queue(delivery.queue)].add(UrlMessage.decode(delivery.body).url.removeprefix(SITE))
            await work(delivery)

        crawl.work = noting
        async with Intake(broker, queues, slots=8) as intake:
            by_queue = {name: crawl for queue in queues for name in (queue, f"{queue}.due")}
            settings = ConsumerSettings(queues, concurrency=4, until_done=True)
            async with asyncio.timeout(60):
                await Worker(settings, intake=intake, crawls=by_queue, broker=broker).run()
        await broker.consume("dead.gazette.articles", prefetch=100, deliver=letters.append)
        while broker.server.queue("dead.gazette.articles").ready:
            await asyncio.sleep(0)
        return sink.records, worked, await ledger.progress(), letters


def test_fronts_and_articles_go_to_their_queues_and_articles_are_kept(capsys):
    records, worked, books, letters = asyncio.run(crawled(load(Found(NEWS, "test"))))
    assert worked == {"gazette.sections": {"", "politics", "science"}, "gazette.articles": {"a/1", "a/2", "a/3", "a/4"}}
    assert sorted((r["headline"], r["section"], str(r["published"])) for r in records) == [
        ("Four", "Home", "2026-03-01"),
        ("One", "Home", "2026-03-01"),
    ]
    assert (books.outcomes, books.complete) == ({"ok": 7}, True)
    assert [letter.headers["crawl-reason"] for letter in letters] == [
        "item_invalid: Article 0: headline: String should have at least 1 character"
    ]
    assert capsys.readouterr().out == "gazette: 7 of 7 pages\n"


def test_the_example_s_spider_says_where_links_go():
    ran = run_spider(load_spider("news:Gazette"), page_from(PAGES[SITE][2], url=SITE), topology=NEWS)
    assert [(link.url.removeprefix(SITE), link.to, set(link.queues)) for link in ran.follows] == [
        ("a/1", "article", {"gazette.articles"}),
        ("politics", None, {"gazette.sections"}),
        ("science", None, {"gazette.sections"}),
    ]
    assert ran.follows[0].meta == {"section": "Home"}
