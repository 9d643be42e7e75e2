"""The outcome table at work, one test a row: what is safe, and in which order, before a delivery is acknowledged.

A test's trail is what the consumer did, in order; :mod:`watched_world` has its words. What is acknowledged is
acknowledged once, and after its successor; what is not is handed out again, and ends.
"""

import asyncio
import signal
import time

import pytest

from crawl_consumer import settling, worker
from crawl_consumer.parsing import UNTRIED_BYTES, ChildLost, Parsing
from crawl_consumer.response import FailureKind
from crawl_consumer.spider import Spider
from crawl_dedup.ledger import ALIVE_TTL_S
from crawl_producer import admission, names
from crawl_producer.broker import Outgoing
from crawl_producer.declarations import Binding
from crawl_producer.errors import Unroutable
from crawl_producer.message import UrlMessage
from small_world import HOME, html, rules
from watched_world import Watched

ROBOTS = HOME + "robots.txt"
AWAY = (503, {}, b"")
#: One link, and its page has none.
PAIR = {HOME: html("/a"), HOME + "a": html()}
A = ["fetch /a", "done /a", "acked /a"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(worker, "COMPLETION_POLL_S", 0.01)


def lived(pages, *, crawl=None, before=None, **options):
    """Seed HOME and crawl to the end: the world, its trail and its books."""

    async def main():
        async with Watched(pages, **crawl or {}) as world:
            await (before(world) if before else world.seed(HOME))
            trail = await world.told(**options)
            assert not world.waiting
            return world, trail, await world.progress()

    return asyncio.run(main())


class Raises(Spider):
    def parse(self, page):
        raise ValueError(page.url)


class LooksAtAll(Spider):
    def on_fetched(self, page):
        pass


ONCE = ["fetch /", "done /", "acked /"]
TWICE = ["fetch /", "retry /", "free /", "acked /", *ONCE]
AT_LAST = [*TWICE[:4], "fetch /", "dead /", "done /", "acked /"]


@pytest.mark.parametrize(
    ("page", "trail", "outcomes"),
    [
        pytest.param(html("/a"), ["fetch /", "keep /", "link /a", "done /", "acked /", *A], {"ok": 2}, id="ok"),
        pytest.param(html(), ONCE, {"ok": 1}, id="no links"),
        pytest.param(html("https://other.example/"), ONCE, {"ok": 1}, id="filtered"),
        pytest.param(html("/", "/#top"), ONCE, {"ok": 1}, id="duplicate link"),
        pytest.param([(429, {"retry-after": "1"}, b""), html()], TWICE, {"ok": 1}, id="429"),
        pytest.param([AWAY, html()], TWICE, {"ok": 1}, id="503"),
        pytest.param([(500, {}, b""), html()], TWICE, {"ok": 1}, id="5xx"),
        pytest.param((502, {}, b""), AT_LAST, {"failed_http_502": 1}, id="5xx at last"),
        pytest.param([FailureKind.TIMEOUT, html()], TWICE, {"ok": 1}, id="timeout"),
        pytest.param(FailureKind.TIMEOUT, AT_LAST, {"failed_timeout": 1}, id="timeout at last"),
        pytest.param((404, {}, b""), ONCE, {"http_404": 1}, id="404"),
        pytest.param((410, {}, b""), ONCE, {"http_410": 1}, id="410"),
        pytest.param([FailureKind.DNS, html()], TWICE, {"ok": 1}, id="DNS failure"),
        pytest.param(FailureKind.DNS, AT_LAST, {"failed_dns": 1}, id="DNS failure at last"),
        pytest.param(FailureKind.TOO_LARGE, ONCE, {"too_large": 1}, id="too large"),
        pytest.param(FailureKind.BLOCKED, ONCE, {"blocked": 1}, id="blocked"),
    ],
)
def test_an_answer_ends_its_delivery_after_the_successor(page, trail, outcomes):
    _, told, books = lived({**PAIR, HOME: page})
    assert (told, books.outcomes, books.open) == (trail, outcomes, 0)


def test_what_was_filtered_or_a_duplicate_is_in_the_books():
    _, _, books = lived({HOME: html("https://other.example/", "/")})
    assert (books.counts["filtered:host"], books.counts["duplicate"]) == (1, 1)


def test_duplicate_a_second_delivery_is_acknowledged_and_not_fetched():
    async def twice(world):
        await world.seed(HOME)
        copy = UrlMessage(crawl="c", url=HOME).encode()
        await world.broker.publish(Outgoing("x", "k", copy, "copy"))

    assert lived({HOME: html()}, before=twice)[1] == [*ONCE, "acked /"]


def test_robots_denied():
    _, told, books = lived({ROBOTS: rules("disallow: /")}, crawl={"robots": {}})
    assert told == ["fetch /robots.txt", "done /", "acked /"]
    assert books.outcomes == {"robots_denied": 1}


def test_a_site_whose_robots_txt_is_blocked_is_blocked_at_once():
    _, told, books = lived({ROBOTS: FailureKind.BLOCKED}, crawl={"robots": {}})
    assert told == ["fetch /robots.txt", "done /", "acked /"]
    assert books.outcomes == {"blocked": 1}


def test_robots_unreachable_is_parked_and_no_attempt():
    pages = {ROBOTS: [AWAY, rules()], HOME: html()}
    _, told, books = lived(pages, crawl={"robots": {"retry_s": [0.05]}, "retry": {"max_attempts": 1}})
    assert told == ["fetch /robots.txt", "parked /", "free /", "acked /", "fetch /robots.txt", *ONCE]
    assert books.outcomes == {"ok": 1}


def test_too_early_is_parked():
    async def early(world):
        message = UrlMessage(crawl="c", url=HOME, not_before_ms=time.time_ns() // 1_000_000 + 400)
        await world.broker.publish(Outgoing("x", "k", message.encode(), "m"))

    assert lived({HOME: html()}, before=early)[1] == ["parked /", "acked /", *ONCE]


def test_not_html_is_a_record_without_links():
    page = (200, {"content-type": "image/png"}, html("/a")[2])
    world, told, books = lived({HOME: page})
    assert (told, books.outcomes) == (ONCE, {"ok": 1})
    assert [(r["content_type"], r["title"], r["links"]) for r in world.sink.records] == [("image/png", None, 0)]


#: Half a million elements take 40 MiB.
COSTLY = b"<a href=/a>" + b"<p>" * UNTRIED_BYTES


@pytest.mark.parametrize(
    ("status", "trail", "outcomes"), [(200, ONCE, {"unparsable": 1}), (503, AT_LAST, {"failed_http_503": 1})]
)
def test_html_that_would_take_too_much_to_parse_is_not_seen_by_the_spider(status, trail, outcomes):
    async def frugal(world):
        world.parsing = Parsing(tree_bytes=16 << 20)
        await world.seed(HOME)

    world, told, books = lived({HOME: (status, {}, COSTLY)}, before=frugal, spider=LooksAtAll())
    assert (told, books.outcomes, world.sink.records) == (trail, outcomes, [])


@pytest.mark.parametrize("status", [301, 404, 503])
@pytest.mark.parametrize(("spider", "parsed"), [(Spider(), False), (LooksAtAll(), True)])
def test_an_answer_that_is_no_page_is_parsed_only_for_a_spider_that_looks_at_it(status, spider, parsed):
    class Noting(Parsing):
        def of(self, page, **options):
            noted.append(page.status)
            return super().of(page, **options)

    async def noting(world):
        world.parsing = Noting()
        await world.seed(HOME)

    noted = []
    lived({HOME: [(status, {"location": "/a"}, html()[2]), html()], HOME + "a": html()}, before=noting, spider=spider)
    assert (status in noted) is parsed


def test_a_lost_process_that_parses_is_a_defect_and_the_page_is_tried_again():
    class Unlucky(Parsing):
        async def _tried(self, markup):
            if not world_s_luck.pop():
                raise ChildLost("as told")
            return await super()._tried(markup)

    async def unlucky(world):
        world.parsing = Unlucky()
        await world.seed(HOME)

    world_s_luck = [True, False]
    _, told, books = lived({**PAIR, HOME: (200, {}, html("/a")[2] + b"<p>some text</p>" * 40_000)}, before=unlucky)
    assert (told[:4], books.outcomes) == (TWICE[:4], {"ok": 2})


@pytest.mark.parametrize("body", [b"", b"<", b"\0" * 9, b"<!--", b"<html", b"</p>\xff\xfe<a href='", b"<a " * 9999])
def test_a_parse_error_is_an_empty_page(body):
    world, told, books = lived({HOME: (200, {}, body)})
    assert (told, books.outcomes) == (ONCE, {"ok": 1})
    assert [(r["title"], r["links"]) for r in world.sink.records] == [(None, 0)]


def test_spider_raised_is_a_dead_letter_at_once():
    _, told, books = lived(PAIR, spider=Raises())
    assert told == ["fetch /", "dead /", "done /", "acked /"]
    assert books.outcomes == {"failed_spider": 1}


def test_publish_returned_is_parked_with_its_outbox_and_a_binding_lets_it_end(monkeypatch):
    monkeypatch.setattr(settling, "UNPUBLISHED_PARK_MS", 1)

    async def main():
        async with Watched(PAIR) as world:
            await world.seed(HOME)
            world.upon["Unroutable /a"] = lambda: world.broker.server.bind(Binding("x", "q", "nowhere"))
            return await world.told(key="nowhere")

    returned = ["fetch /", "keep /", "Unroutable /a", "parked /", "free /", "acked /"]
    assert asyncio.run(main()) == [*returned, "link /a", "done /", "acked /", *A]


def test_publish_returned_of_a_retry_leaves_the_delivery_too():
    async def main():
        async with Watched({HOME: [AWAY, html()]}) as world:
            await world.seed(HOME)
            world.broker.server.delete_queue(names.delay_queue(names.FIRST_DELAY_MS))
            with pytest.raises(Unroutable):
                await world.told()
            assert world.trail == ["fetch /", "Unroutable /", "free /"]
            assert world.waiting == [HOME]
            return await world.told()

    assert asyncio.run(main()) == ONCE


def test_publish_nacked_of_a_retry_is_tried_again_until_it_is_accepted(monkeypatch):
    monkeypatch.setattr(admission, "REFUSED_PAUSE_S", 0.001)

    async def main():
        async with Watched({HOME: [AWAY, html()]}) as world:
            await world.seed(HOME)
            world.refused = 3
            return await world.told()

    told = asyncio.run(main())
    assert told == ["fetch /", *3 * ["PublishRefused /"], *TWICE[1:]]


def test_publish_nacked_is_parked_with_its_outbox_and_not_fetched_again(monkeypatch):
    monkeypatch.setattr(admission, "REFUSED_PAUSE_S", 0.001)
    monkeypatch.setattr(settling, "FULL_QUEUE_PARK_MS", 1)
    pages = {HOME: html("/a", "/b", "/c")}
    world, told, books = lived(pages, crawl={"queue": {"max_length": 1}})
    own = [event for event in told if event.endswith(" /")]
    parked = ["parked /", "free /", "acked /"]
    times = (len(own) - 4) // len(parked)
    assert own == ["fetch /", "keep /", *times * parked, "done /", "acked /"]
    assert times > 0
    assert told.index("PublishRefused /c") < told.index("parked /") < told.index("link /c") < told.index("done /")
    assert sorted(world.web.fetched) == [HOME, HOME + "a", HOME + "b", HOME + "c"]
    assert (books.open, books.outboxes) == (0, 0)


@pytest.mark.parametrize(
    ("page", "trail"),
    [
        pytest.param(
            html("/a"),
            ["fetch /", "keep /", "Unconfirmed /a", "link /a", "done /", "acked /", *A, "acked /a"],
            id="link",
        ),
        pytest.param([AWAY, html()], ["fetch /", "Unconfirmed /", *TWICE[1:], "acked /"], id="retry"),
    ],
)
def test_confirm_timeout_publishes_again_and_the_second_copy_does_nothing(page, trail):
    async def lost(world):
        await world.seed(HOME)
        world.unconfirmed = 1

    assert lived({**PAIR, HOME: page}, before=lost)[1] == trail


def test_confirm_timeout_of_a_dead_letter():
    async def lost(world):
        await world.seed(HOME)
        world.unconfirmed = 1

    told = lived(PAIR, before=lost, spider=Raises())[1]
    assert told == ["fetch /", "Unconfirmed /", "dead /", "done /", "acked /"]


@pytest.mark.parametrize(
    ("moment", "page", "trail"),
    [
        ("fetch /", html(), ["fetch /", "done /", "stale /", "acked /"]),
        ("done /", html(), ["fetch /", "done /", "stale /", "acked /"]),
        ("keep /", html("/a"), ["fetch /", "keep /", "link /a", "done /", "stale /", "acked /", *A]),
        ("link /a", html("/a"), ["fetch /", "keep /", "link /a", "done /", "stale /", "acked /", *A]),
        ("retry /", [AWAY, html()], [*TWICE[:3], "stale /", "acked /", *ONCE]),  # it waits for its retry, not for this
        ("dead /", (500, {}, b""), [*AT_LAST[:-1], "stale /", "acked /"]),
    ],
)
def test_connection_lost_before_ack_brings_the_delivery_again_and_it_ends(moment, page, trail):
    async def lose(world):
        await world.seed(HOME)
        world.upon[moment] = world.lose_connection

    _, told, books = lived({**PAIR, HOME: page}, before=lose)
    assert (told, books.open) == (trail, 0)


def test_sigterm_lets_what_is_in_flight_end_and_begins_nothing_more():
    async def main():
        async with Watched(PAIR) as world:
            await world.seed(HOME, HOME + "a")
            world.upon["fetch /"] = lambda: signal.raise_signal(signal.SIGTERM)
            world.web.fetch = after(world, world.web.fetch)
            told = await world.told()
            return told, world.waiting

    def after(world, fetch):
        async def fetch_once_told_to_stop(url, **options):
            response = await fetch(url, **options)
            while world.broker.server.queue("q").consumers:
                await asyncio.sleep(0)
            return response

        return fetch_once_told_to_stop

    assert asyncio.run(main()) == (ONCE, [HOME + "a"])


def test_sigterm_beyond_the_deadline_leaves_the_delivery_to_another():
    async def main():
        async with Watched({HOME: html()}) as world:
            await world.seed(HOME)
            fetch, world.web.fetch = world.web.fetch, hang
            assert await world.told(shutdown_s=0.05) == ["free /"]
            assert world.waiting == [HOME]
            world.web.fetch = fetch
            return await world.told(consumer="second")

    async def hang(_url, **_options):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    assert asyncio.run(main()) == ONCE


LINKED = ["link /a", "done /", "acked /", *A]


@pytest.mark.parametrize(
    ("moment", "trail"),
    [
        ("fetch /", ["fetch /", "keep /", *LINKED]),
        ("keep /", LINKED),
        ("link /a", [*LINKED, "acked /a"]),
        ("done /", ["acked /", *A]),
        ("acked /", A),
    ],
)
def test_sigkill_leaves_the_delivery_and_whoever_comes_next_goes_on_where_it_stopped(moment, trail):
    async def main():
        async with Watched(PAIR) as world:
            await world.seed(HOME)
            world.upon[moment] = world.kill
            with pytest.raises(BaseExceptionGroup):
                await world.told()
            assert world.trail[-1] == moment
            assert (HOME in world.waiting) == (moment != "acked /")
            world.skew_s = ALIVE_TTL_S + 1  # nobody said goodbye: only time frees what the first one held
            return await world.told(consumer="second"), await world.progress()

    told, books = asyncio.run(main())
    assert told == trail
    assert (books.outcomes, books.open, books.outboxes) == ({"ok": 2}, 0, 0)
