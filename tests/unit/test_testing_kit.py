"""crawl_consumer.testing, and the names that crawl_consumer itself offers."""

import asyncio
import subprocess
import sys

import pytest
from pydantic import BaseModel

import crawl_consumer
from crawl_consumer.errors import SpiderInvalid, SpiderRaised
from crawl_consumer.spider import Rule, Spider
from crawl_consumer.testing import page_from, run_spider, run_spider_async
from crawl_producer.errors import RouteInvalid
from crawl_producer.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "topic"}},
        "queues": {
            "c.front": {"crawl": "c", "bindings": [{"exchange": "x", "key": "front"}]},
            "c.dated": {"crawl": "c", "bindings": [{"exchange": "x", "key": "dated.#"}]},
        },
        "crawls": {
            "c": {
                "exchange": "x",
                "key": "front",
                "routes": [{"match": "/20", "key": "dated.1"}],
                "scope": {"max_depth": 2, "deny": ["/login"]},
            }
        },
    }
)


class Item(BaseModel):
    n: int


class News(Spider):
    def parse(self, page):
        yield {"meta": dict(page.meta), "title": page.title}
        yield page.item(Item, n="1")
        yield page.item(Item, n="x")
        for link in page.css("a"):
            yield page.follow(link, to="article", meta={"n": 1}, priority=3)

    def article(self, page):
        yield page.follow("/next", route="dated.2")


def test_a_page_comes_from_text_bytes_or_a_file(tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes("<meta charset=latin-1><title>ü</title>".encode("latin-1"))
    for source in ("<title>ü</title>", file.read_bytes(), file):
        assert page_from(source).title == "ü"
    page = page_from(
        "", url="HTTP://Site.example", status=404, headers={"X-A": "1"}, meta={"a": 1}, to="article", depth=3
    )
    assert (page.url, page.status, page.headers["x-a"]) == ("http://site.example/", 404, "1")
    assert (page.meta, page.to, page.depth) == ({"a": 1}, "article", 3)


def test_what_a_spider_yields_is_told_in_order():
    ran = run_spider(News, page_from("<title>t</title><a href=/2026/a>a</a><a href=mailto:x>m</a>", meta={"a": 1}))
    assert ran.items == [{"meta": {"a": 1}, "title": "t"}, Item(n=1)]
    assert [invalid.error for invalid in ran.invalid] == [
        "n: Input should be a valid integer, unable to parse string as an integer"
    ]
    ((link),) = ran.follows
    assert (link.url, link.to, link.meta, link.priority, link.exchange) == (
        "https://site.example/2026/a", "article", {"n": 1}, 3, None,
    )  # fmt: skip
    assert ran.rejected == {"scheme": 1}


def test_with_a_topology_links_tell_where_they_go_and_whether_they_are_in_scope():
    body = "<a href=/2026/a></a><a href=/b></a><a href=/login></a><a href=https://other.example/></a>"
    links = run_spider(News, page_from(body), topology=TOPOLOGY).follows
    assert [(link.exchange, link.key, set(link.queues), link.outside) for link in links] == [
        ("x", "dated.1", {"c.dated"}, None),
        ("x", "front", {"c.front"}, None),
        ("x", "front", {"c.front"}, "deny"),
        ("x", "front", {"c.front"}, "host"),
    ]
    (link,) = run_spider(News(), page_from("", to="article", depth=2), topology=TOPOLOGY, crawl="c").follows
    assert (link.key, link.queues, link.outside) == ("dated.2", {"c.dated"}, "depth")


def test_a_topology_may_be_a_file(tmp_path):
    file = tmp_path / "exchanges.yaml"
    file.write_text(TOPOLOGY.model_dump_json(include={"exchanges", "queues", "crawls"}, exclude_defaults=True))
    assert run_spider(News, page_from("<a href=/2026>x</a>"), topology=file).follows[0].key == "dated.1"


def test_mistakes_are_found():
    class Typo(Spider):
        def parse(self, page):
            yield page.follow("/a", to="artikel")

    class Nowhere(Spider):
        def parse(self, page):
            yield page.follow("/a", route="no")

    with pytest.raises(SpiderInvalid, match="Typo has no method 'artikel'"):
        run_spider(Typo, page_from(""))
    assert run_spider(Typo, page_from(""), elsewhere={"artikel"}).follows[0].to == "artikel"
    with pytest.raises(RouteInvalid, match="route 'no' of exchange 'x' comes to no queue"):
        run_spider(Nowhere, page_from(""), topology=TOPOLOGY)
    with pytest.raises(SpiderInvalid, match="names no method"):
        run_spider(type("Made", (Spider,), {"rules": (Rule(to="nobody"),)}), page_from(""))
    with pytest.raises(SpiderRaised):
        run_spider(type("Made", (Spider,), {"parse": lambda *_: 1 / 0}), page_from(""))


def test_tests_that_are_coroutines_await_it():
    async def main():
        return await run_spider_async(News, page_from("<a href=/x>x</a>"))

    assert asyncio.run(main()).follows[0].to == "article"


def test_every_name_that_is_offered_is_there_and_explained():
    assert len(set(crawl_consumer.__all__)) == len(crawl_consumer.__all__)
    for name in crawl_consumer.__all__:
        thing = getattr(crawl_consumer, name)
        assert thing.__doc__ or name in {"Item", "Yields"}, name
    assert dir(crawl_consumer) == sorted(crawl_consumer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Spyder'"):
        _ = crawl_consumer.Spyder


def test_the_names_cost_nothing_until_they_are_asked_for():
    code = "import sys, crawl_consumer; print([m for m in sys.modules if m.startswith(('crawl_consumer.', 'lxml'))])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
