"""Middlewares: requests changed or dropped before they are sent, responses replaced or refused after."""

import asyncio
from dataclasses import replace

import pytest

from crawl_consumer.errors import SpiderInvalid
from crawl_consumer.fetch import Fetcher, FetchLimits
from crawl_consumer.spider import Drop, Refuse, Rule, Spider
from crawl_consumer.spiders.checking import check
from raw_web import LOOPBACK, raw_web
from small_world import HOME, World, html


async def crawled(pages, **attributes):
    """The world after a crawl by a spider with these attributes; its web notes the headers that were sent."""
    async with World(pages, robots={"obey": False}) as world:
        world.sent, fetch = {}, world.web.fetch

        async def noting(url, *, headers=None):
            world.sent[url] = headers
            return await fetch(url)

        world.web.fetch = noting
        await world.seed(HOME)
        await world.crawl(spider=type("Made", (Spider,), attributes)())
        world.book = await world.progress()
        world.letters = await world.dead()
        return world


def test_request_middlewares_set_headers_and_drop_urls_with_a_reason():
    seen = []

    async def sign(request):
        seen.append((request.url, request.depth, request.parent, request.attempt))
        request.headers["X-Signed"] = request.url

    async def not_here(request):
        assert "X-Signed" in request.headers
        return Drop("too  old\n") if request.url.endswith("old") else None

    world = asyncio.run(crawled({HOME: html("old", "new"), HOME + "new": html()}, request_middlewares=(sign, not_here)))
    assert world.sent == {HOME: {"X-Signed": HOME}, HOME + "new": {"X-Signed": HOME + "new"}}
    assert world.book.outcomes == {"ok": 2, "skipped": 1}
    assert world.book.counts["skipped:too old"] == 1
    assert seen[1:] == [(HOME + "old", 1, HOME, 0), (HOME + "new", 1, HOME, 0)]
    assert world.letters == []


def test_without_middlewares_nothing_is_said_besides():
    assert asyncio.run(crawled({HOME: html()})).sent == {HOME: None}


def test_a_response_middleware_replaces_what_the_spider_sees():
    async def unwrap(response, request):
        return replace(response, status=200, body=response.body.replace(b"old", b"new"))

    pages = {HOME: (404, {}, b"<title>old</title>")}
    world = asyncio.run(crawled(pages, response_middlewares=(unwrap,)))
    assert [record["title"] for record in world.sink.records] == ["new"]
    assert (world.sink.flushed, world.book.outcomes) == (1, {"ok": 1})


@pytest.mark.parametrize(("again", "fetches"), [(True, 2), (False, 1)])
def test_a_refused_response_is_tried_again_or_a_dead_letter_at_once(again, fetches):
    async def captcha(response, request):
        return Refuse("a captcha", retry=again) if b"captcha" in response.body else None

    world = asyncio.run(crawled({HOME: html(title="captcha")}, response_middlewares=(captcha,)))
    assert world.web.fetched == [HOME] * fetches
    assert world.book.outcomes == {"failed_refused": 1}
    assert [reason for reason, _, _ in world.letters] == ["refused: a captcha"]
    assert world.sink.records == []


def test_a_refused_response_that_gets_better_is_parsed():
    async def captcha(response, request):
        return Refuse("a captcha") if request.attempt == 0 else None

    world = asyncio.run(crawled({HOME: html(title="fine")}, response_middlewares=(captcha,)))
    assert (world.book.outcomes, len(world.sink.records)) == ({"ok": 1}, 1)


async def _raises(*_):
    raise KeyError("no")


async def _returns_a_text(*_):
    return "drop"


async def _sets_host(request):
    request.headers["Host"] = "elsewhere.example"


async def _breaks_the_line(request):
    request.headers["X"] = "a\r\nY: b"


async def _another_url(response, request):
    return replace(response, url=HOME + "other")


async def _text_for_a_body(response, request):
    return replace(response, body="text")


async def _text_for_a_status(response, request):
    return replace(response, status="200")


@pytest.mark.parametrize(
    ("kind", "middleware", "said", "fetches"),
    [
        ("request", _raises, "KeyError: 'no'", 0),
        ("request", _returns_a_text, "return Drop(reason) or None", 0),
        ("request", _sets_host, "header 'Host' is the fetcher's own", 0),
        ("request", _breaks_the_line, "header 'X' cannot be sent", 0),
        ("response", _raises, "KeyError: 'no'", 1),
        ("response", _returns_a_text, "return a Response of the same URL", 1),
        ("response", _another_url, "return a Response of the same URL", 1),
        ("response", _text_for_a_body, "a Response whose body is 'text', and not bytes", 1),
        ("response", _text_for_a_status, "a Response whose status is '200', and not int", 1),
    ],
)
def test_a_middleware_that_is_wrong_makes_a_dead_letter_with_its_place(kind, middleware, said, fetches):
    world = asyncio.run(crawled({HOME: html()}, **{f"{kind}_middlewares": (middleware,)}))
    assert world.book.outcomes == {"failed_spider": 1}
    assert world.web.fetched == [HOME] * fetches
    ((reason, _, _),) = world.letters
    assert f"{middleware.__qualname__} at {__file__}:" in reason
    assert said in reason


@pytest.mark.parametrize(
    ("reason", "counted"),
    [("two\n lines", "two lines"), ("\ud800\x1b[2J", "[2J"), ("", "unnamed"), (None, "None"), ("x" * 99, "x" * 60)],
)
def test_the_reason_of_a_drop_is_counted_as_a_line_that_can_be_stored_and_shown(reason, counted):
    async def drop(request):
        return Drop(reason)

    world = asyncio.run(crawled({HOME: html()}, request_middlewares=(drop,)))
    assert world.book.counts[f"skipped:{counted}"] == 1


def _not_async(request):
    """Forgotten."""


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"request_middlewares": _sets_host}, "a tuple"),
        ({"response_middlewares": ("no function",)}, "no async function"),
        ({"request_middlewares": (_not_async,)}, "_not_async in Made.request_middlewares is no async function"),
        ({"rules": Rule()}, "a tuple"),
    ],
)
def test_what_is_no_middleware_and_no_rule_is_found_before_the_first_page(attributes, said):
    with pytest.raises(SpiderInvalid) as caught:
        check(type("Made", (Spider,), attributes)())
    assert said in f"{caught.value}; {caught.value.remedy}"


def test_the_fetcher_sends_them_besides_its_own():
    async def main():
        async with raw_web({"/": b"HTTP/1.1 204 No Content\r\n\r\n"}) as web:
            fetcher = Fetcher(FetchLimits(), user_agent="Test/1", connections=1, guard=LOOPBACK)
            async with fetcher:
                await fetcher.fetch(web.url("/"), headers={"X-Signed": "yes", "User-Agent": "Other/1"})
            return web.requests[0]

    request = asyncio.run(main())
    assert b"X-Signed: yes\r\n" in request
    assert b"User-Agent: Other/1\r\n" in request
    assert b"Test/1" not in request
