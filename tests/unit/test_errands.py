"""What a link carries besides its URL: from follow() through the message to the method that parses the page."""

import asyncio
import json
import logging
import re
from functools import partial

import pytest

from crawl_consumer.errors import SpiderRaised
from crawl_consumer.harvest import links, redirect
from crawl_consumer.page import Page
from crawl_consumer.response import Response
from crawl_consumer.spider import Spider, run
from crawl_dedup import canonicalize
from crawl_producer.errand import MAX_META_BYTES, Errand
from crawl_producer.errors import MessageInvalid, RouteInvalid
from crawl_producer.known import Known
from crawl_producer.message import MAX_ENCODED_BYTES, MAX_URL_CHARS, UrlMessage
from crawl_producer.own_routes import Reach
from crawl_producer.scope import Scope
from crawl_producer.topology import ScopeSpec, Topology
from small_world import HOME, World, html

TOPOLOGY = Topology.model_validate(
    {
        "exchanges": {"x": {"type": "direct"}, "y": {"type": "topic"}},
        "queues": {
            "c.a": {"crawl": "c", "bindings": [{"exchange": "x", "key": "a"}]},
            "c.b": {"crawl": "c", "bindings": [{"exchange": "y", "key": "b.#"}]},
            "d": {"crawl": "d", "bindings": [{"exchange": "y", "key": "d"}]},
        },
        "crawls": {"c": {"exchange": "x", "key": "a"}, "d": {"exchange": "y", "key": "d"}},
    }
)
ERRAND = {"to": "article", "route": ("y", "b.1"), "priority": 7, "meta": {"section": "ü", "n": [1, None, {"a": 1.5}]}}
errand = partial(Errand.of, to=None, route=None, priority=None, meta=None)


def page(body=b"", **fields):
    return Page(
        Response(url=HOME, status=200, body=body, content_type="text/html"), UrlMessage(crawl="c", url=HOME, **fields)
    )


def harvest(errands, *urls, parent=HOME, **scope):
    spec = ScopeSpec(any_host=True, **scope)
    message = UrlMessage(crawl="c", url=parent)
    return links(message, urls or errands, Scope(spec), now_ms=5, known=Known("born"), errands=errands)


def test_a_follow_takes_text_selectors_and_elements():
    seen = page(b"<link rel=next href=/l><p><a href=' /a '>a</a><area href=b><a>none</a></p>")
    for link in ("/a", seen.css("p a")[0], seen.css("p a::attr(href)")[0], seen.tree.find("body/p/a")):
        assert seen.follow(link).url == HOME + "a"
    assert seen.follow(seen.css("link")[0]).url == HOME + "l"
    assert seen.follow(seen.css("area")[0]).url == HOME + "b"


@pytest.mark.parametrize("link", [None, 1, "p", "body a"])
def test_a_follow_of_what_is_no_link_says_what_is(link):
    seen = page(b"<p>x</p>")
    thing = seen.css(link)[0] if link == "p" else seen.css(link) if isinstance(link, str) else link
    with pytest.raises(TypeError, match=r"is no link; take a text, an <a>"):
        seen.follow(thing)


def test_a_link_without_href_is_counted_and_not_followed():
    seen = page(b"<base href=/other><a>x</a>")
    spider = type("Made", (Spider,), {"parse": lambda _, page: [page.follow(page.css("a")[0])]})()
    parsed = asyncio.run(run(spider, seen))
    assert (parsed.follows, parsed.rejected) == ((), {"no_href": 1})


def test_all_links_at_once_are_as_many_follows_one_by_one():
    body = b"<nav><a href=/a><a href=mailto:x><a href=/b></nav><a href=/c><a>none</a>"
    wishes = [
        (lambda page: [page.follow_all()], lambda page: map(page.follow, page.links())),
        (lambda page: [page.follow_all(page.css("a"))], lambda page: map(page.follow, page.css("a"))),
        (
            lambda page: [page.follow("/b", to="record"), page.follow_all(page.links(css="nav"), priority=3)],
            lambda page: [page.follow("/b", to="record"), *(page.follow(u, priority=3) for u in page.links(css="nav"))],
        ),
        (
            lambda page: [page.follow_all(["/a", "ftp://x/", "c"])],
            lambda page: map(page.follow, ["/a", "ftp://x/", "c"]),
        ),
    ]
    for at_once, one_by_one in wishes:
        told = [
            asyncio.run(run(type("Made", (Spider,), {"parse": lambda _, page, wish=wish: wish(page)})(), page(body)))
            for wish in (at_once, one_by_one)
        ]
        assert told[0].follows
        assert told[0] == told[1]


def test_links_of_a_region_filtered_by_patterns():
    body = b"<nav><a href=/1>1</a><a href=/2>2</a></nav>"
    body += b"<div id=m><a href=/2>2</a><a href=mailto:x>m</a></div><a href=/3>3</a>"
    paths = lambda **how: [url.removeprefix(HOME) for url in page(body).links(**how)]  # noqa: E731
    assert paths() == ["1", "2", "3"]
    assert (
        paths(css="nav") == paths(xpath="//nav") == paths(css="nav a") == paths(css="nav a::attr(href)") == ["1", "2"]
    )
    assert paths(css="#m", xpath="//nav") == ["2", "1"]
    assert paths(allow="[12]$") == paths(allow=["1$", "2$"]) == ["1", "2"]
    assert paths(deny="2") == ["1", "3"]
    assert paths(css="nav", allow=r"\d", deny=("1",)) == ["2"]
    seen = page(body)
    seen.links(css="#m")
    assert seen.rejected == {"scheme": 1}


def test_an_errand_comes_with_the_page_to_the_method_that_it_names():
    seen, told = [], {"section": "politics", "n": 3}

    class News(Spider):
        def parse(self, page):
            yield page.follow("a", to="article", meta=told)
            yield page.follow("b", to=self.gallery)
            yield page.follow("c")

        def article(self, page):
            seen.append(("article", page.url, dict(page.meta)))

        async def gallery(self, page):
            seen.append(("gallery", page.url, dict(page.meta)))
            yield page.follow("d", to="record")

    async def main():
        async with World({HOME: html(), HOME + "a": html(), HOME + "b": html(), HOME + "d": html(title="d")}) as world:
            await world.seed(HOME)
            await world.crawl(spider=News())
            assert [(r["url"], r["title"]) for r in world.sink.records] == [(HOME + "d", "d")]
            assert (await world.progress()).outcomes == {"ok": 4, "http_404": 1}

    asyncio.run(main())
    assert sorted(seen) == [("article", HOME + "a", told), ("gallery", HOME + "b", {})]


def test_a_page_whose_method_the_spider_lacks_is_a_dead_letter_and_not_fetched():
    class Front(Spider):
        def parse(self, page):
            return [page.follow(path, to=path) for path in ("artikel", "on_finish", "name", "methods")]

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            await world.crawl(spider=Front())
            assert world.web.fetched == [HOME]
            assert (await world.progress()).outcomes == {"ok": 1, "failed_no_method": 4}
            return await world.dead()

    letters = asyncio.run(main())
    assert {headers["crawl-outcome"] for _, headers, _ in letters} == {"failed_no_method"}
    assert any("has no method 'artikel'" in reason and "Front" in reason for reason, _, _ in letters)
    assert UrlMessage.decode(letters[0][2]).to


def test_run_says_so_too():
    with pytest.raises(SpiderRaised, match=rf"spider Spider has no method 'article'.* \(on {HOME}\)"):
        asyncio.run(run(Spider(), page(to="article")))


def test_the_first_errand_of_a_url_counts():
    spider = Spider()
    spider.parse = lambda page: [page.follow("a"), page.follow("a", to="one"), page.follow("/a#x", to="two")]
    parsed = asyncio.run(run(spider, page()))
    assert (parsed.follows, parsed.errands) == ((HOME + "a",), {HOME + "a": Errand(to="one")})


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"to": "_private"}, "to: "),
        ({"to": ""}, "to: "),
        ({"to": 3}, "to: "),
        ({"to": "x" * 65}, "to: "),
        ({"route": "k" * 256}, "route.1: too long"),
        ({"route": "k\n"}, "route.1: a control character in a routing key"),
        ({"route": ("y", "b.\0")}, "route.1: a control character in a routing key"),
        ({"route": ("no exchange", "k")}, "route.0: "),
        ({"route": ("x", "k", "z")}, "route"),
        ({"priority": 0}, "priority: "),
        ({"priority": 11}, "priority: "),
        ({"meta": {"a": "x" * MAX_META_BYTES}}, "meta: 1032 bytes of JSON; at most 1024 travel with a URL"),
        ({"meta": {1: 2}}, "meta.1"),
        ({"meta": {"a": object()}}, "meta.a"),
        ({"meta": {"a": float("nan")}}, "meta: no JSON"),
        ({"meta": {"a": "\ud800"}}, "meta"),
    ],
)
def test_an_errand_that_cannot_be_is_an_error_in_the_spider_that_says_why(wish, said):
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        page().follow("x", **wish)


def test_nesting_without_end_is_no_meta():
    deep = []
    for _ in range(400):
        deep = [deep]
    with pytest.raises(ValueError, match=r"^meta"):
        page().follow("x", meta={"a": deep})


def test_a_meta_that_is_taken_can_be_read_out_of_its_message():
    """What is admitted and cannot be read becomes a dead letter that nobody ends, and its crawl never completes."""
    deep, deepest = [], 0
    for depth in range(1, 400):
        deep = [deep]
        try:
            said = errand(meta={"a": deep})
        except ValueError:
            break
        message = UrlMessage.model_construct(crawl="c", url=HOME, **said.fields())
        assert UrlMessage.decode(message.encode()).meta == {"a": deep}
        deepest = depth
    assert 100 < deepest < 399


def test_saying_nothing_is_no_errand():
    assert page().follow("x", meta={}).errand is None


def test_an_errand_travels_in_the_message_and_survives_retries_and_redirects():
    (link,) = harvest({HOME: errand(**ERRAND)}).links
    message = UrlMessage.read(link.encode(), crawl="c")
    assert message.errand == ERRAND
    assert (link.url, link.way) == (HOME, (("y", "b.1"), 7))
    assert UrlMessage.decode(message.model_copy(update={"attempt": 1, "reason": "timeout"}).encode()).errand == ERRAND
    (moved,) = redirect(message, HOME + "moved", Scope(ScopeSpec()), now_ms=9).links
    assert UrlMessage.decode(moved.encode()).errand == ERRAND


def test_a_link_without_errand_is_written_as_it_always_was():
    (link,) = harvest({}, HOME).links
    assert link.encode() == (
        b'{"v":1,"crawl":"c","url":"https://site.example/","depth":1,"root":"site.example",'
        b'"parent":"https://site.example/","first_seen_ms":5}'
    )


def test_links_of_one_errand_share_a_family():
    one, two = errand(to="a"), errand(to="b")
    found = harvest({HOME + "1": one, HOME + "2": two, HOME + "3": one}, *(f"{HOME}{n}" for n in "1234")).links
    assert found[0].family is found[2].family
    assert [UrlMessage.decode(link.encode()).to for link in found] == ["a", "b", "a", None]


def test_a_url_that_leaves_its_meta_no_room_is_filtered_and_what_is_kept_can_always_be_retried():
    full = errand(to="m" * 64, route=("e" * 200, "k" * 255), meta={"m": "x" * (MAX_META_BYTES - 8)})
    urls = [canonicalize(f"{HOME}?{letter * n}") for n in range(100, MAX_URL_CHARS - 25, 25) for letter in "x\\"]
    harvested = harvest(dict.fromkeys(urls, full), parent=HOME + "p" * 1500)
    assert 0 < harvested.counts["filtered:too_long"] < len(urls)
    for link in harvested.links:
        message = UrlMessage.decode(link.encode())
        worst = {"attempt": 9999, "deferrals": 999_999, "not_before_ms": 1 << 53, "expires_ms": 1 << 53}
        more = {"reason": "r" * 200, "status": 503, "redirects": 1000, "at_address": True}
        grown = message.model_copy(update=worst | more).encode()
        assert len(grown) <= MAX_ENCODED_BYTES
        assert UrlMessage.decode(grown).errand == full.fields()


def test_a_redirect_that_leaves_the_meta_no_room_is_filtered():
    message = UrlMessage(crawl="c", url=HOME, meta={"m": "x" * 1000}, to="a", route=("e" * 200, "k" * 255))
    told = redirect(message, HOME + "?" + '"\\' * 1000, Scope(ScopeSpec()), now_ms=9)
    assert (told.links, told.counts) == ((), {"filtered:too_long": 1})


@pytest.mark.parametrize(
    "field", [{"to": "__init__"}, {"route": ["x"]}, {"priority": 0}, {"meta": []}, {"meta": {"a": "x" * 1020}}]
)
def test_a_message_with_an_impossible_errand_is_refused(field):
    body = json.dumps({"v": 1, "crawl": "c", "url": HOME, **field}).encode()
    with pytest.raises(MessageInvalid, match=next(iter(field))):
        UrlMessage.decode(body)


def test_own_routes_are_published_to_and_others_are_an_error_of_the_spider():
    reach = Reach(TOPOLOGY, "c")
    assert reach.queues(("", "a")) == {"c.a"}
    assert reach.queues(("y", "b.1")) == {"c.b"}
    for route, said in (
        (("", "b"), "route 'b' of exchange 'x' comes to no queue; bound there: 'a'"),
        (("nowhere", "a"), "route 'a' of exchange 'nowhere' comes to no queue; bound there: nothing"),
        (("y", "d"), "route 'd' of exchange 'y' comes to 'd', a queue of crawl 'd'"),
    ):
        with pytest.raises(RouteInvalid) as caught:
            reach.check([Errand(route=route)])
        assert str(caught.value) == said


def test_an_own_route_that_passes_by_the_group_that_admits_its_url_is_an_error_of_the_spider():
    queues = {"q": {"crawl": "c", "bindings": [{"exchange": "x", "key": "a"}]}}
    queues["other"] = {"crawl": "c", "group": "other", "bindings": [{"exchange": "x"}, {"exchange": "x", "key": "a"}]}
    topology = TOPOLOGY.model_validate(
        {"exchanges": {"x": {"type": "direct"}}, "queues": queues, "crawls": {"c": {"exchange": "x", "key": "a"}}}
    )
    both, passing = [Errand(route=("", "a"))], [Errand(route=("", ""))]
    for groups in ((), ("other",)):
        Reach(topology, "c", *groups).check([*both, *passing])
    for groups in (("main",), ("other", "main")):
        reach = Reach(topology, "c", *groups)
        reach.check(both)
        with pytest.raises(RouteInvalid, match="'' of exchange 'x' comes to no queue of group 'main', only to other"):
            reach.check(passing)


def test_a_priority_that_no_queue_looks_at_is_warned_of_once(caplog):
    reach = Reach(TOPOLOGY, "c")
    with caplog.at_level(logging.WARNING):
        reach.check([Errand(priority=3), Errand(priority=4)])
        reach.check([Errand(priority=5)])
    (record,) = caplog.records
    assert record.getMessage().startswith("priorities have no effect in crawl c: none of its queues has max_priority")


def test_urls_of_a_higher_priority_are_fetched_first():
    class Front(Spider):
        def parse(self, page):
            if page.url != HOME:
                return []
            return [page.follow(f"/{n}", priority=n or None) for n in (0, 1, 5, 2)]

    async def main():
        pages = {HOME: html(), **{f"{HOME}{n}": html() for n in (0, 1, 5, 2)}}
        async with World(pages, queue={"type": "classic", "max_priority": 5}) as world:
            await world.seed(HOME)
            await world.crawl(spider=Front(), concurrency=1)
            return world.web.fetched

    assert asyncio.run(main()) == [HOME, *(f"{HOME}{n}" for n in (5, 2, 1, 0))]


def test_a_link_goes_where_its_route_says_and_its_redirect_too():
    class Front(Spider):
        def parse(self, page):
            return [page.follow("/a", route="other"), page.follow("/b")]

    async def main():
        pages = {HOME: html(), HOME + "a": (301, {"location": "/c"}, b""), HOME + "c": html()}
        async with World(pages) as world:
            broker = world.broker
            world.bind("other")
            await world.seed(HOME)
            keys = []
            publish = broker.server.publish
            broker.server.publish = lambda exchange, m: (
                keys.append((UrlMessage.decode(m.body).url, m.routing_key)),
                publish(exchange, m),
            )[1]
            await world.crawl(spider=Front(), concurrency=1)
            return keys

    assert [(url.removeprefix(HOME), key) for url, key in asyncio.run(main())] == [
        ("a", "other"),
        ("b", "k"),
        ("c", "other"),
    ]
