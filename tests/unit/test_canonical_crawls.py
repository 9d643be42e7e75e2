"""Canonical rules in whole crawls: one page of several URLs, wherever they come from, and the books balance."""

import asyncio
import json

from crawl_consumer import harvest
from crawl_consumer.spider import Spider
from crawl_consumer.testing import page_from, run_spider
from crawl_consumer.workbench.dissection import Dissection
from crawl_consumer.workbench.looking import message_for
from crawl_consumer.workbench.rules import CRAWL, Rules, default_topology
from crawl_dedup import CanonicalRules
from crawl_producer.admission import Admitted
from crawl_producer.broker import Outgoing
from crawl_producer.errand import Errand
from crawl_producer.known import Known
from crawl_producer.message import UrlMessage
from crawl_producer.repair_sources import from_file
from crawl_producer.routing import Router
from crawl_producer.scope import Scope
from crawl_producer.seeding import Seeding
from crawl_producer.sources.written import read
from crawl_producer.topology import ScopeSpec, Topology
from small_world import HOME, World, html, topology

ALL = {"drop_tracking": True, "drop_session_ids": True, "sort_query": True}


def in_a_world(pages, story, **crawl):
    async def main():
        async with World(pages, **crawl) as world:
            await story(world)
            async with asyncio.timeout(20):
                await world.crawl()
            return world, await world.progress()

    return asyncio.run(main())


def test_links_and_redirects_lead_to_the_canonical_url_and_the_books_balance():
    pages = {
        HOME: html("/a?utm_source=x", "/a", "/a?utm_source=y", "/b?y=1&gclid=3&x=2", "/old"),
        HOME + "old": (301, {"location": "/c?fbclid=1"}, b""),
        HOME + "a": html("/b?x=2&y=1", "/?utm_medium=mail"),
        HOME + "b?x=2&y=1": html(),
        HOME + "c": html(),
    }
    world, books = in_a_world(pages, lambda world: world.seed(HOME), canonical=ALL)
    assert sorted(world.web.fetched) == sorted(pages)
    assert books.outcomes == {"ok": 4, "redirect": 1}
    # The seed; a, b and old of the first page, whose three links to a are one; two more; the redirect's.
    assert (books.counts["discovered"], books.counts["duplicate"]) == (1 + 3 + 2 + 1, 2)


def test_seeds_that_mean_the_same_page_are_one():
    async def story(world):
        report = await world.seed(HOME + "?utm_source=x", HOME, HOME + "?utm_source=y", HOME + "?b&a")
        assert (report.admitted, report.duplicate) == (2, 2)
        again = await world.seed(HOME + "?gclid=1", HOME + "?a&b")
        assert (again.admitted, again.duplicate) == (0, 2)

    world, _ = in_a_world({}, story, canonical=ALL)
    assert sorted(world.web.fetched) == [HOME, HOME + "?a&b"]


def test_what_other_systems_write_goes_through_the_same_rules():
    taken = []

    class Door:
        async def admit(self, work, *, seed):
            taken.extend(link.url for link in work.links)
            return Admitted(admitted=len(taken))

    bodies = [b"https://e.org/?utm_id=1", json.dumps({"url": "https://e.org/x;jsessionid=1?b&a"}).encode()]
    entries = [read(number, body, "inbox") for number, body in enumerate(bodies, 1)]
    asyncio.run(Seeding("c", Door(), lambda _: "s.0", rules=CanonicalRules(**ALL)).take(entries))
    assert taken == ["https://e.org/", "https://e.org/x?a&b"]


def test_a_message_that_is_in_a_queue_already_stays_valid():
    old = HOME + "a?utm_source=before"

    async def story(world):
        body = UrlMessage(crawl="c", url=old).encode()
        await world.broker.publish(Outgoing("x", "k", body, "by hand"))

    world, books = in_a_world({old: html("/b?gclid=1")}, story, canonical=ALL)
    assert world.web.fetched == [old, HOME + "b"]
    assert books.outcomes == {"ok": 1, "http_404": 1}


def test_scope_is_asked_about_the_canonical_url():
    rules = {"canonical": ALL, "scope": {"session_ids": False, "deny": ["utm_"]}}
    world, books = in_a_world({HOME: html("/a;jsessionid=1?utm_id=2")}, lambda world: world.seed(HOME), **rules)
    assert world.web.fetched == [HOME, HOME + "a"]
    assert books.counts.get("filtered:deny", 0) == books.counts.get("filtered:session_id", 0) == 0


def test_of_links_that_become_one_the_first_errand_counts():
    urls = [HOME + query for query in ("a", "?utm_id=1", "?utm_id=2", "")]
    errands = {urls[1]: Errand(to="first"), urls[2]: Errand(to="second")}
    parent = UrlMessage(crawl="c", url=HOME + "page", root="site.example")
    gathered = harvest.links(
        parent, urls, Scope(ScopeSpec()), now_ms=7, known=Known(""), errands=errands, rules=CanonicalRules(**ALL)
    )
    messages = [UrlMessage.decode(link.encode()) for link in gathered.links]
    assert [(message.url, message.to) for message in messages] == [(HOME + "a", None), (HOME, "first")]


def test_files_of_a_repair_are_read_by_the_same_rules(tmp_path):
    (tmp_path / "urls").write_text(f"{HOME}?utm_id=1\n")

    async def urls():
        spec = topology(canonical=ALL).crawls["c"]
        return [found.url async for found in from_file(tmp_path / "urls", "c", Router(spec), spec.canonical.rules())]

    assert asyncio.run(urls()) == [HOME]


def test_the_workbench_and_the_testing_kit_show_what_a_crawl_would_fetch():
    raw = default_topology().model_dump(mode="json", exclude={"connection", "redis"})
    raw["crawls"][CRAWL]["canonical"] = ALL
    crawl = Topology.model_validate(raw)
    page = page_from('<a href="/a?utm_id=1">', url=HOME)
    told = asyncio.run(Dissection(Spider(), Rules(CRAWL, crawl)).of(page, message_for(CRAWL, HOME)))
    assert [link["url"] for link in told["links"]] == [HOME + "a"]
    assert [link.url for link in run_spider(Spider, page, topology=crawl).follows] == [HOME + "a"]
    assert [link.url for link in run_spider(Spider, page).follows] == [HOME + "a?utm_id=1"]
