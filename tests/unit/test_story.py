"""The story of one URL, on the in-memory broker and ledger and a web of a few pages: every outcome and its sequel."""

import asyncio
import json
import time
from collections import Counter
from itertools import pairwise

import pytest

from crawl_consumer.crawl import Crawl
from crawl_consumer.errors import ItemInvalid, OutputFailed
from crawl_consumer.intake import Intake
from crawl_consumer.response import FailureKind
from crawl_consumer.settings import ConsumerSettings
from crawl_consumer.spider import Spider
from crawl_consumer.tools import Tools
from crawl_consumer.worker import Worker
from crawl_producer import names
from crawl_producer.admission import Admission, Work
from crawl_producer.broker import Outgoing
from crawl_producer.errors import Unroutable
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.memory_server import MemoryServer
from crawl_producer.message import UrlMessage
from crawl_producer.routing import Router
from small_world import HOME, Kept, SmallWeb, World, html, rules


def crawled(pages, *seeds, **options):
    """Seed, crawl to the end, and return the world, its books and its dead letters."""

    async def main():
        sections = ("scope", "retry", "routes", "robots", "politeness")
        crawl = {k: options.pop(k) for k in sections if k in options}
        async with World(pages, **crawl) as world:
            await world.seed(*(seeds or [HOME]))
            async with asyncio.timeout(20):
                world.tally = await world.crawl(**options)
            assert not world.broker.server.queue("q").ready
            assert not world.broker.server.queue("q.due").ready
            return world, await world.progress(), await world.dead()

    return asyncio.run(main())


def test_every_page_is_fetched_once_and_the_crawl_ends_by_itself():
    pages = {HOME: html("/a", "/b", "/a#x"), HOME + "a": html("/", "/b"), HOME + "b": html("/a")}
    world, books, dead = crawled(pages)
    assert Counter(world.web.fetched) == dict.fromkeys(pages, 1)
    assert books.outcomes == {"ok": 3}
    assert dead == []


def test_the_books_balance_to_the_unit():
    pages = {HOME: html("/a", "https://other.example/", "mailto:x@y", "/gone"), HOME + "a": html("/", "/gone")}
    _, books, _ = crawled(pages)
    assert books.counts["discovered"] == 1 + 4 + 2
    assert {k: v for k, v in books.counts.items() if k.startswith(("filtered", "duplicate"))} == {
        "duplicate": 2,
        "filtered:host": 1,
        "filtered:scheme": 1,
    }
    assert books.admitted == 3
    assert books.outcomes == {"ok": 2, "http_404": 1}


def test_a_record_is_kept_for_each_page_with_what_is_known_of_it():
    world, _, _ = crawled({HOME: html("/a", title="Home"), HOME + "a": html(title="A")})
    home, a = sorted(world.sink.records, key=lambda record: record["depth"])
    assert (home["url"], home["title"], home["status"], home["parent"], home["links"]) == (HOME, "Home", 200, None, 1)
    assert (a["url"], a["title"], a["depth"], a["parent"]) == (HOME + "a", "A", 1, HOME)
    assert world.sink.flushed == 2


def test_items_are_flushed_before_the_page_is_done():
    class Slow(Kept):
        async def flush(self):
            for _ in range(50):  # whoever does not wait for the disk has ended the page by then
                await asyncio.sleep(0)
            self.outcomes = (await world.progress()).outcomes
            await super().flush()

    async def main():
        nonlocal world
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            sink = Slow()
            await world.crawl(sink=sink)
            return sink.outcomes, sink.flushed, (await world.progress()).outcomes

    world = None
    assert asyncio.run(main()) == ({}, 1, {"ok": 1})


def test_a_redirect_is_a_new_url_through_the_same_door():
    pages = {HOME: (301, {"location": "/new"}, b""), HOME + "new": html("/")}
    world, books, _ = crawled(pages)
    assert world.web.fetched == [HOME, HOME + "new"]
    assert books.outcomes == {"redirect": 1, "ok": 1}


def test_a_redirect_loop_ends():
    pages = {HOME: (302, {"location": "/a"}, b""), HOME + "a": (302, {"location": "/"}, b"")}
    world, books, _ = crawled(pages)
    assert world.web.fetched == [HOME, HOME + "a"]
    assert books.outcomes == {"redirect": 2}


def test_an_endless_chain_of_redirects_ends_too():
    pages = {f"{HOME}{n}": (302, {"location": f"/{n + 1}"}, b"") for n in range(50)}
    world, books, _ = crawled(pages, HOME + "0")
    assert len(world.web.fetched) == 11
    assert books.counts["filtered:redirects"] == 1


def test_what_robots_txt_forbids_is_done_and_not_fetched():
    pages = {HOME + "robots.txt": rules("disallow: /private"), HOME: html("/private/a", "/b"), HOME + "b": html()}
    world, books, dead = crawled(pages, robots={})
    assert world.web.fetched[:2] == [HOME + "robots.txt", HOME]
    assert Counter(world.web.fetched) == dict.fromkeys([HOME, HOME + "b", HOME + "robots.txt"], 1)
    assert (books.outcomes, dead) == ({"ok": 2, "robots_denied": 1}, [])


def test_while_robots_txt_cannot_be_had_nothing_is_fetched_and_nothing_lost():
    away = [(500, {}, b""), FailureKind.TIMEOUT, (429, {}, b""), (503, {}, b"")]
    pages = {HOME + "robots.txt": [*away, rules("disallow: /private")], HOME: html("/a"), HOME + "a": html()}
    seeds = [HOME, HOME + "a", HOME + "private"]
    world, books, dead = crawled(pages, *seeds, robots={"retry_s": [0.05]}, retry={"max_attempts": 1})
    assert world.web.fetched[:5] == [HOME + "robots.txt"] * 5
    assert Counter(world.web.fetched[5:]) == {HOME: 1, HOME + "a": 1}
    assert (books.outcomes, dead) == ({"ok": 2, "robots_denied": 1}, [])


def test_waiting_for_robots_txt_is_no_attempt_and_survives_the_consumer():
    async def main():
        pages = {HOME + "robots.txt": (503, {}, b""), HOME: html()}
        async with World(pages, robots={"retry_s": [0.3]}) as world:
            await world.seed(HOME)
            worker = asyncio.create_task(world.crawl("first", until_done=False))
            rungs = [world.broker.server.queue(names.delay_queue(ms)) for ms in names.DELAYS_MS]
            while not any(rung.ready for rung in rungs):
                await asyncio.sleep(0)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            assert (await world.progress()).open == 1
            pages[HOME + "robots.txt"] = (404, {}, b"")
            async with asyncio.timeout(20):
                await world.crawl("second")
            return world.sink.records, (await world.progress()).outcomes

    records, outcomes = asyncio.run(main())
    assert (len(records), outcomes) == (1, {"ok": 1})


def test_a_defect_in_the_gate_costs_its_page_only():
    class Broken(SmallWeb):
        async def fetch(self, url, *, first_bytes=None):
            if url == "https://bad.example/robots.txt":
                raise RuntimeError("bug")
            return await super().fetch(url)

    async def main():
        async with World({HOME: html()}, robots={}) as world:
            world.web = Broken(world.web.pages)
            await world.seed(HOME, "https://bad.example/")
            async with asyncio.timeout(20):
                await world.crawl()
            return (await world.progress()).outcomes

    assert asyncio.run(main()) == {"ok": 1, "failed_defect": 1}


def test_the_books_balance_with_links_and_items_that_pages_keep_to_themselves():
    pages = {
        HOME: html("/quiet", "/closed", "/closed/x", "https://other.example/"),
        HOME + "quiet": (200, {"x-robots-tag": "noindex"}, html("/a", "/b", "/closed")[2]),
        HOME + "closed": (200, {}, b'<meta name=robots content=none><a href="/c">c</a><a href="mailto:x">x</a>'),
        HOME + "a": (200, {}, b'<a rel="nofollow" href="/d">d</a><a rel="ugc" href="/b">b</a><a href="/b">b</a>'),
        HOME + "b": html(),
    }
    world, books, _ = crawled(pages)
    assert {record["url"] for record in world.sink.records} == {HOME, HOME + "a", HOME + "b"}
    assert {k: v for k, v in books.counts.items() if k.startswith(("filtered", "items", "duplicate"))} == {
        "filtered:host": 1,
        "filtered:nofollow": 1,
        "filtered:scheme": 1,
        "filtered:rel_nofollow": 1,
        "duplicate": 2,
        "items:noindex": 2,
    }
    assert books.counts["discovered"] == 1 + 4 + 3 + 2 + 2 == books.admitted + 2 + 4
    assert books.outcomes == {"ok": 5, "http_404": 1}


def test_a_crawl_may_be_told_to_take_what_pages_would_keep():
    pages = {HOME: (200, {"x-robots-tag": "none"}, b'<a rel="nofollow" href="/d">d</a>'), HOME + "d": html()}
    free = {"respect_nofollow": False, "respect_noindex": False, "respect_rel": False, "obey": False}
    world, books, _ = crawled(pages, robots=free)
    assert len(world.sink.records) == 2
    assert books.outcomes["ok"] == 2


def test_a_failure_is_tried_again_later_and_then_succeeds():
    world, books, dead = crawled({HOME: [FailureKind.TIMEOUT, html()]})
    assert world.web.fetched == [HOME, HOME]
    assert (books.outcomes, dead) == ({"ok": 1}, [])


@pytest.mark.parametrize(
    ("page", "reason", "status"),
    [(FailureKind.DNS, "dns: as told", 0), ((503, {}, b""), "http_503", 503), ((500, {}, b""), "http_500", 500)],
)
def test_the_last_failure_is_a_dead_letter_with_its_history(page, reason, status):
    world, books, dead = crawled({HOME: page})
    assert len(world.web.fetched) == 2
    ((said, headers, body),) = dead
    assert said == reason
    assert headers["crawl-attempts"] == 2
    assert headers["crawl-status"] == status
    assert headers["crawl-queue"] == "q"
    assert [headers["crawl-outcome"]] == list(books.outcomes)
    assert UrlMessage.decode(body).url == HOME
    assert list(books.outcomes) == ["failed_" + reason.split(":")[0]]


def test_a_spider_that_raises_costs_its_page_only():
    class Picky(Spider):
        def parse(self, page):
            if page.url == HOME + "a":
                raise ValueError("no such thing")
            yield from super().parse(page)

    pages = {HOME: html("/a", "/b"), HOME + "a": html(), HOME + "b": html()}
    _, books, dead = crawled(pages, spider=Picky())
    assert books.outcomes == {"ok": 2, "failed_spider": 1}
    assert "no such thing" in dead[0][0]
    assert json.loads(dead[0][2])["url"] == HOME + "a"


def test_an_item_that_cannot_be_written_costs_its_page_only():
    class Odd(Spider):
        def parse(self, page):
            yield {"what": object()}

    _, books, dead = crawled({HOME: html()}, spider=Odd(), sink=JsonSink())
    assert books.outcomes == {"failed_spider": 1}
    assert "what" in dead[0][0]


class JsonSink(Kept):
    def write(self, record):
        raise ItemInvalid(f"cannot write {next(iter(record.fields))}")


def test_a_defect_of_ours_costs_its_page_only():
    _, books, dead = crawled({HOME: html("/a"), HOME + "a": RuntimeError("bug")})
    assert books.outcomes == {"ok": 1, "failed_defect": 1}
    assert "bug" in dead[0][0]


def test_max_depth_and_max_pages_hold():
    chain = {f"{HOME}{n}": html(f"/{n + 1}") for n in range(20)}
    world, books, _ = crawled(chain, HOME + "0", scope={"max_depth": 3})
    assert len(world.web.fetched) == 4
    assert books.counts["filtered:depth"] == 1
    star = {HOME: html(*(f"/{n}" for n in range(20)))}
    world, books, _ = crawled(star, scope={"max_pages": 5})
    assert len(world.web.fetched) == 5
    assert books.counts["filtered:max_pages"] == 16


def test_a_page_of_very_many_links_brings_the_first_of_them_and_the_books_balance():
    page = html(*(f"/{n}" for n in range(50)), "https://elsewhere.example/", "/")
    world, books, _ = crawled({HOME: page}, scope={"max_links_per_page": 20})
    assert set(world.web.fetched) == {HOME, *(f"{HOME}{n}" for n in range(20))}
    assert (books.counts["filtered:max_links_per_page"], books.counts["filtered:host"]) == (31, 1)
    assert books.counts["discovered"] == books.admitted + books.counts.get("duplicate", 0) + 32


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "undecodable: body: Invalid JSON"),
        (b'{"v":9,"crawl":"c","url":"https://site.example/"}', "undecodable: v: Input should be 1"),
        (b'{"v":1,"crawl":"other","url":"https://site.example/"}', "undecodable: a URL of crawl 'other'"),
        (b'{"v":1,"crawl":"c","url":"HTTPS://site.example/"}', "undecodable: url: String should match"),
        (b'{"v":1,"crawl":"c","url":"https://SITE.example/"}', "undecodable: url: not canonical"),
    ],
)
def test_what_is_no_message_of_this_crawl_becomes_a_dead_letter_and_no_more(body, reason):
    async def main():
        async with World({HOME: html()}) as world:
            await world.broker.publish(Outgoing("x", "k", body, "foreign"))
            await world.seed(HOME)
            await world.crawl(concurrency=1)
            return world.web.fetched, await world.dead()

    fetched, dead = asyncio.run(main())
    assert fetched == [HOME]
    assert [letter[0][: len(reason)] for letter in dead] == [reason]
    assert dead[0][2] == body


def test_a_page_that_waits_for_its_retry_is_not_tried_by_a_copy_of_its_message_too():
    async def main():
        retry = {"max_attempts": 3, "first_delay_s": 0.3, "factor": 1}
        async with World({HOME: FailureKind.TIMEOUT}, retry=retry) as world:
            await world.seed(HOME)
            (original,) = world.broker.server.queue("q").ready
            crawl = asyncio.create_task(world.crawl())
            rungs = [world.broker.server.queue(names.delay_queue(ms)) for ms in names.DELAYS_MS]
            async with asyncio.timeout(20):
                while not any(rung.ready for rung in rungs):
                    await asyncio.sleep(0)
                for _ in range(3):
                    await world.broker.publish(Outgoing("x", "k", original.body, original.message_id))
                await crawl
            return world.web.fetched, len(await world.dead())

    assert asyncio.run(main()) == ([HOME] * 3, 1)


def test_a_url_that_another_living_consumer_holds_is_parked_not_fetched():
    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            async with world.ledger("other") as other:
                await other.begin(other.fingerprint(HOME))
                worker = asyncio.create_task(world.crawl(until_done=False))
                rungs = [world.broker.server.queue(names.delay_queue(ms)) for ms in names.DELAYS_MS]
                async with asyncio.timeout(20):
                    while not any(rung.ready for rung in rungs):
                        await asyncio.sleep(0)
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)
            return world.web.fetched, len(world.broker.server.queue("q").ready)

    assert asyncio.run(main()) == ([], 0)


def test_a_committed_page_is_published_again_not_fetched_again():
    async def main():
        async with World({HOME: html("/a"), HOME + "a": html()}) as world:
            await world.seed(HOME)
            await first_life(world)
            assert world.web.fetched == [HOME]
            await world.crawl("second")
            return world.web.fetched, (await world.progress()).outcomes

    async def first_life(world):
        """A consumer that dies between commit and publish."""
        spec = world.topology.crawls["c"]
        broker = MemoryBroker(world.broker.server)
        async with broker, world.ledger("first") as ledger:
            crawl = Crawl(
                "c", spec, ledger=ledger, admission=DiesAfterCommit([ledger], broker, Router(spec)),
                tools=Tools(broker, world.web, Spider(), {"q": world.sink}),
            )  # fmt: skip
            async with Intake(broker, ["q"], slots=1) as intake:
                with pytest.raises(Killed):
                    await crawl.work(await intake.next())

    fetched, outcomes = asyncio.run(main())
    assert fetched == [HOME, HOME + "a"]
    assert outcomes == {"ok": 2}


class Killed(BaseException):
    pass


class DiesAfterCommit(Admission):
    async def _publish(self, messages):
        raise Killed


def test_a_redelivery_in_the_same_process_waits_for_its_elder():
    class Slow(SmallWeb):
        async def fetch(self, url, **options):
            response = await super().fetch(url, **options)
            if len(self.fetched) == 1:
                asyncio.get_running_loop().call_soon(lose_connection)
                await reconnected.wait()
                for _ in range(100):  # the younger has its turns before the elder goes on
                    await asyncio.sleep(0)
            return response

    async def main():
        nonlocal lose_connection, reconnected
        reconnected = asyncio.Event()
        async with World({}) as world:
            world.web = Slow({HOME: html()})
            await world.seed(HOME)
            spec = world.topology.crawls["c"]
            broker = MemoryBroker(world.broker.server)

            def lose_connection():
                broker.lose_connection()
                reconnected.set()

            async with broker, world.ledger("one") as ledger:
                crawl = Crawl(
                    "c", spec, ledger=ledger, admission=Admission([ledger], broker, Router(spec)),
                    tools=Tools(broker, world.web, Spider(), {"q": world.sink}),
                )  # fmt: skip
                async with Intake(broker, ["q"], slots=2) as intake:
                    settings = ConsumerSettings(("q",), concurrency=2, until_done=True)
                    await Worker(settings, intake=intake, crawls={"q": crawl, "q.due": crawl}, broker=broker).run()
            return world.web.fetched, len(world.broker.server.queue("q").ready)

    lose_connection = reconnected = None
    assert asyncio.run(main()) == ([HOME], 0)


def test_a_polite_crawl_keeps_its_delay_and_still_fetches_everything_once():
    pages = {HOME: html(*(f"/{n}" for n in range(10)))} | {f"{HOME}{n}": html() for n in range(10)}
    began = time.monotonic()
    world, books, _ = crawled(pages, politeness={"delay_s": 0.1, "hold_s": 0.3})
    assert time.monotonic() - began >= 1.0
    assert Counter(world.web.fetched) == dict.fromkeys(pages, 1)
    assert books.outcomes == {"ok": 11}
    assert world.tally.deferred > 0
    assert (world.tally.distinct_hosts_in_window, world.tally.most_hosts_in_window) == (0, 1)


def test_urls_of_a_patient_host_stand_in_nobodys_way():
    """One fetch at a time, and ten URLs of one host before a URL of each of ten others."""
    slow = [f"https://slow.example/{n}" for n in range(10)]
    others = [f"https://{n}.example/" for n in range(10)]
    world, books, _ = crawled(
        {}, *slow, *others, politeness={"delay_s": 0.2, "hold_s": 0.5}, scope={"any_host": True}, concurrency=1
    )
    assert books.outcomes == {"http_404": 20}
    assert set(world.web.fetched[:11]) == {slow[0], *others}


def test_hosts_on_one_address_are_crawled_to_the_end_at_its_delay():
    urls = [f"https://{host}.example/{n}" for n in range(2) for host in range(10)]
    politeness = {"delay_s": 0.05, "ip_delay_s": 0.1, "hold_s": 0.3}
    world, books, _ = crawled({}, *urls, politeness=politeness, scope={"any_host": True})
    assert books.outcomes == {"http_404": 20}
    assert Counter(world.web.fetched) == dict.fromkeys(urls, 1)
    assert min(b - a for a, b in pairwise(sorted(world.web.at))) >= 0.09
    assert world.tally.deferred > 0


def test_a_host_that_pushes_back_is_left_alone_and_nothing_is_lost():
    wait = (429, {"retry-after": "1"}, b"")
    pages = {HOME: [wait, html()], HOME + "a": html()}
    world, books, dead = crawled(pages, HOME, HOME + "a", politeness={"delay_s": 0.05})
    assert books.outcomes == {"ok": 2}
    assert dead == []
    assert world.web.at[1] - world.web.at[0] >= 0.99


def test_an_output_that_fails_ends_the_process_and_loses_nothing():
    class Full(Kept):
        async def flush(self):
            raise OutputFailed("disk full")

    async def main():
        async with World({HOME: html()}) as world:
            await world.seed(HOME)
            with pytest.raises(OutputFailed):
                await world.crawl(sink=Full())
            assert (await world.progress()).open == 1
            await world.crawl("after")
            return (await world.progress()).outcomes

    assert asyncio.run(main()) == {"ok": 1}


def test_links_that_no_queue_wants_stay_in_the_outbox_and_their_page_comes_back():
    async def main():
        async with World({HOME: html("/a"), HOME + "a": html()}) as world:
            await world.seed(HOME)
            router = Router(world.topology.crawls["c"], key="nowhere")
            broker = MemoryBroker(world.broker.server)
            async with broker, world.ledger("one") as ledger:
                crawl = Crawl(
                    "c", world.topology.crawls["c"], ledger=ledger, admission=Admission([ledger], broker, router),
                    tools=Tools(broker, world.web, Spider(), {"q": world.sink}),
                )  # fmt: skip
                async with Intake(broker, ["q"], slots=1) as intake:
                    await crawl.work(await intake.next())
            rungs = [len(world.broker.server.queue(names.delay_queue(ms)).ready) for ms in names.DELAYS_MS]
            return await world.progress(), sum(rungs)

    books, waiting = asyncio.run(main())
    assert (books.open, books.outboxes, waiting) == (2, 1, 1)


def test_a_url_whose_time_is_over_is_done_and_not_fetched():
    async def main():
        async with World({HOME: html()}) as world:
            message = UrlMessage(crawl="c", url=HOME, expires_ms=1)
            await world.broker.publish(Outgoing("x", "k", message.encode(), "m"))
            await world.seed(HOME + "other")
            await world.crawl()
            return world.web.fetched, (await world.progress()).outcomes, await world.dead()

    assert asyncio.run(main()) == ([HOME + "other"], {"expired": 1, "http_404": 1}, [])


def test_a_redirect_and_a_retry_keep_their_time_and_links_have_none():
    soon_ms = time.time_ns() // 1_000_000 + 3_600_000
    pages = {
        HOME: (302, {"location": "/a"}, b""),
        HOME + "a": [FailureKind.TIMEOUT, html("/b")],
        HOME + "b": (503, {}, b""),
    }

    async def main():
        async with World(pages) as world:
            message = UrlMessage(crawl="c", url=HOME, expires_ms=soon_ms)
            await world.broker.publish(Outgoing("x", "k", message.encode(), "m"))
            seen = []
            publish_all = MemoryServer.publish
            world.broker.server.publish = lambda exchange, stored: (
                seen.append(UrlMessage.decode(stored.body)),
                publish_all(world.broker.server, exchange, stored),
            )[1]
            await world.crawl()
            return {(m.url, m.attempt, m.expires_ms) for m in seen}

    assert asyncio.run(main()) == {
        (HOME + "a", 0, soon_ms), (HOME + "a", 1, soon_ms), (HOME + "b", 0, None), (HOME + "b", 1, None),
    }  # fmt: skip


def test_an_outbox_that_cannot_be_published_holds_no_one_else_up():
    async def main():
        async with World({HOME: html()}) as world:
            async with world.ledger("gone") as gone:
                lost = UrlMessage(crawl="c", url=HOME + "lost", root="site.example")
                door = Admission([gone], world.broker, Router(world.topology.crawls["c"], key="nowhere"))
                with pytest.raises(Unroutable):
                    await door.admit(Work(gone.seed_parent(b"x"), "seeded", [lost]), seed=True)
            world.skew_s = 60
            await world.seed(HOME)
            worker = asyncio.create_task(world.crawl(until_done=False))
            while (await world.progress()).outcomes != {"ok": 1}:
                await asyncio.sleep(0)
            assert not worker.done()
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            return await world.progress()

    books = asyncio.run(main())
    assert (books.open, books.outboxes) == (1, 1)


def test_half_a_character_in_an_error_reaches_the_dead_letter_all_the_same():
    class Surrogate(Spider):
        def parse(self, page):
            raise ValueError("\ud83d")

    _, books, dead = crawled({HOME: html()}, spider=Surrogate())
    assert books.outcomes == {"failed_spider": 1}
    assert r"ValueError: \ud83d" in dead[0][0]
