"""The gate on a web and a shared memory made of dictionaries: who is asked, how often, and what is done meanwhile."""

import asyncio
import gc
import time

import pytest
from pydantic import ValidationError

from crawl_consumer import robots
from crawl_consumer.response import FailureKind, FetchFailure, Headers, Response
from crawl_consumer.robots import PARK_S, Allowed, Blocked, Denied, NoRobots, RobotsGate, Unreachable, token_of
from crawl_dedup import LedgerUnavailable, MemoryRobots, MemoryRobotsStore
from crawl_producer.topology import CrawlSpec, RobotsSpec

SITE = "http://site.example"
FILE = b"User-agent: CrawlMQ\nDisallow: /private\nCrawl-delay: 500"


class Web:
    """Answers robots.txt by origin: a body, a status, (status, headers), or a failure; waits for ``opened``."""

    def __init__(self, says):
        self.says, self.asked = says, []
        self.opened = asyncio.Event()
        self.opened.set()

    async def fetch(self, url, *, first_bytes=None):
        self.asked.append(url)
        await self.opened.wait()
        says = self.says[url.removesuffix("/robots.txt")] if isinstance(self.says, dict) else self.says
        if isinstance(says, FailureKind):
            return FetchFailure(says, "as told", 1.0)
        status, headers, body = (200, {}, says) if isinstance(says, bytes) else (*says, b"")
        return Response(url=url, status=status, headers=Headers(headers), body=body)


class CountingRobots(MemoryRobots):
    calls = 0

    async def read(self, origin):
        self.calls += 1
        return await super().read(origin)


class Memory(MemoryRobotsStore):
    def __init__(self):
        super().__init__(clock=lambda: time.monotonic() + self.ahead_s)
        self.ahead_s = 0.0


def gate(web, store=None, name="a", cache=CountingRobots, **spec):
    options = {"hold_s": spec.pop("hold_s")} if "hold_s" in spec else {}
    return RobotsGate(web, cache(store or Memory(), name), RobotsSpec(**spec), token="CrawlMQ", **options)


def test_a_file_allows_and_forbids():
    async def story():
        async with gate(Web(FILE)) as robots:
            return [await robots.verdict(SITE + path) for path in ("/", "/private/x", "/robots.txt")]

    assert asyncio.run(story()) == [Allowed(500.0), Denied(), Allowed(500.0)]


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ((404, {}), Allowed()),
        ((401, {}), Allowed()),
        ((403, {}), Allowed()),
        ((301, {}), Allowed()),
        (b"", Allowed()),
        (b"User-agent: *\nCrawl-delay: 2", Allowed(2.0)),
    ],
)
def test_where_there_is_no_file_all_is_allowed(says, verdict):
    async def story():
        async with gate(Web(says)) as robots:
            return await robots.verdict(SITE + "/private")

    assert asyncio.run(story()) == verdict


@pytest.mark.parametrize("says", [(429, {}), (500, {}), (503, {}), FailureKind.TIMEOUT, FailureKind.DNS])
def test_where_nobody_knows_nothing_is_allowed_for_now(says):
    async def story():
        async with gate(web := Web(says)) as robots:
            first = await robots.verdict(SITE + "/")
            second = await robots.verdict(SITE + "/other")
            return first, second, web.asked

    first, second, asked = asyncio.run(story())
    assert 299 < second.retry_after_s <= first.retry_after_s <= 330
    assert len(asked) == 1


def test_what_is_known_costs_no_call_and_no_request():
    async def story():
        async with gate(web := Web(FILE)) as robots:
            await asyncio.gather(*(robots.verdict(f"{SITE}/{n}") for n in range(100)))
            calls = robots._cache.calls
            for n in range(100):
                await robots.verdict(f"{SITE}/again/{n}")
            return calls, robots._cache.calls, len(web.asked)

    assert asyncio.run(story()) == (2, 2, 1)


def test_each_origin_is_asked_for_itself():
    says = {SITE: FILE, SITE + ":81": (404, {}), "https://site.example": (503, {})}

    async def story():
        async with gate(web := Web(says)) as robots:
            verdicts = [await robots.verdict(origin + "/private") for origin in says]
            return [type(v) for v in verdicts], web.asked

    verdicts, asked = asyncio.run(story())
    assert verdicts == [Denied, Allowed, Unreachable]
    assert asked == [origin + "/robots.txt" for origin in says]


def test_four_consumers_ask_once():
    async def story():
        web, store = Web(FILE), Memory()
        web.opened.clear()
        gates = [gate(web, store, name) for name in "abcd"]
        asking = [asyncio.create_task(each.verdict(SITE + "/private")) for each in gates for _ in range(5)]
        while not web.asked:
            await asyncio.sleep(0)
        web.opened.set()
        verdicts = await asyncio.gather(*asking)
        for each in gates:
            await each.__aexit__()
        return set(verdicts), web.asked

    assert asyncio.run(story()) == ({Denied()}, [SITE + "/robots.txt"])


def test_a_slow_origin_holds_nobody_up():
    async def story():
        web, store = Web(FILE), Memory()
        web.opened.clear()
        async with gate(web, store, "a", hold_s=0.05) as a, gate(web, store, "b", hold_s=0.05) as b:
            meanwhile = [await each.verdict(SITE + "/") for each in (a, b, a)]
            web.opened.set()
            while store.leases:
                await asyncio.sleep(0)
            return meanwhile, [await each.verdict(SITE + "/") for each in (a, b)], web.asked

    meanwhile, then, asked = asyncio.run(story())
    assert meanwhile == [Unreachable(PARK_S)] * 3
    assert then == [Allowed(500.0)] * 2
    assert len(asked) == 1


def test_a_consumer_that_died_while_asking_is_succeeded():
    async def story():
        web, store = Web(FILE), Memory()
        await MemoryRobots(store, "dead").lease(SITE, lease_s=robots.LEASE_S)
        async with gate(web, store, hold_s=0.3) as mine:
            before = await mine.verdict(SITE + "/")
            store.ahead_s += robots.LEASE_S
            return before, await mine.verdict(SITE + "/")

    assert asyncio.run(story()) == (Unreachable(PARK_S), Allowed(500.0))


def test_closing_while_asking_leaves_no_lease():
    async def story():
        web, store = Web(FILE), Memory()
        web.opened.clear()
        async with gate(web, store, hold_s=0.01) as mine:
            await mine.verdict(SITE + "/")
            assert store.leases
        return store.leases, store.records

    assert asyncio.run(story()) == ({}, {})


def test_whoever_asks_may_be_cancelled_without_harm_to_the_others():
    async def story():
        web = Web(FILE)
        web.opened.clear()
        async with gate(web) as mine:
            first, second = (asyncio.create_task(mine.verdict(SITE + "/")) for _ in range(2))
            while not web.asked:
                await asyncio.sleep(0)
            first.cancel()
            web.opened.set()
            return await asyncio.gather(first, second, return_exceptions=True)

    cancelled, verdict = asyncio.run(story())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert verdict == Allowed(500.0)


def test_waits_grow_over_all_consumers_and_end_with_the_first_answer():
    async def story():
        web, store, waits = Web((503, {})), Memory(), []
        for name in "abcdef":
            async with gate(web, store, name) as each:
                waits.append((await each.verdict(SITE + "/")).retry_after_s)
            store.ahead_s += waits[-1] + 1
        web.says = FILE
        async with gate(web, store) as each:
            answered = await each.verdict(SITE + "/")
        store.ahead_s += 24 * 3600
        web.says = FailureKind.CONNECT
        async with gate(web, store) as each:
            return waits, answered, (await each.verdict(SITE + "/")).retry_after_s

    waits, answered, again = asyncio.run(story())
    for wait, minutes in zip(waits, (5, 30, 120, 720, 720, 720), strict=True):
        assert minutes * 60 - 1 <= wait <= minutes * 66
    assert answered == Allowed(500.0)
    assert again <= 330


def test_a_site_that_fails_for_a_month_counts_as_having_no_file():
    async def story():
        web, store = Web(FailureKind.DNS), Memory()
        async with gate(web, store) as each:
            await each.verdict(SITE + "/")
        store.ahead_s += 3600
        async with gate(web, store, "b", unavailable_after_s=1e-9) as each:
            return await each.verdict(SITE + "/private")

    assert asyncio.run(story()) == Allowed()


def test_the_oldest_origins_are_forgotten_when_there_are_too_many():
    async def story():
        body = b"User-agent: *\n" + b"".join(b"Disallow: /%d\n" % n for n in range(20_000))
        async with gate(web := Web(body)) as mine:
            for n in range(12):
                await mine.verdict(f"http://{n}.example/")
            kept, chars = len(mine._known), mine._known_chars
            await mine.verdict("http://11.example/")
            await mine.verdict("http://0.example/")
            return kept, chars, len(web.asked)

    kept, chars, asked = asyncio.run(story())
    assert 2 <= kept < 12
    assert chars <= robots.REMEMBERED_CHARS
    assert asked == 12


BLOCKED = Blocked("blocked: as told")


def test_a_site_whose_robots_txt_is_where_the_crawl_may_not_go_is_blocked_and_not_waited_for(monkeypatch):
    async def story():
        async with gate(web := Web(FailureKind.BLOCKED)) as mine:
            return [await mine.verdict(f"{SITE}/{n}") for n in range(3)], len(web.asked)

    assert asyncio.run(story()) == ([BLOCKED] * 3, 1)
    monkeypatch.setattr(robots, "BLOCKED_S", 0.0)
    assert asyncio.run(story()) == ([BLOCKED] * 3, 3)


def test_what_is_blocked_for_one_crawl_is_not_for_another_that_shares_the_memory():
    async def story():
        store = Memory()
        async with gate(Web(FailureKind.BLOCKED), store, "a") as one, gate(Web(FILE), store, "b") as other:
            assert await one.verdict(SITE + "/") == BLOCKED
            assert store.records == {}
            assert await other.verdict(SITE + "/private") == Denied()
            # It goes where it may not fetch on what the other one has learned; the page itself is blocked then.
            async with gate(Web(FailureKind.BLOCKED), store, "c") as third:
                assert await third.verdict(SITE + "/") == Allowed(500.0)

    asyncio.run(story())


def test_a_redirect_to_where_the_crawl_may_not_go_blocks_the_site_that_sends_there():
    inside = "http://inside.example"
    web = Web({SITE: (302, {"location": f"{inside}/robots.txt"}), inside: FailureKind.BLOCKED})

    async def story():
        async with gate(web) as gate_:
            return await gate_.verdict(SITE + "/")

    assert asyncio.run(story()) == BLOCKED
    assert len(web.asked) == 2


def test_a_shared_memory_that_is_gone_is_told_to_whoever_asks_and_to_nobody_else():
    class Gone(MemoryRobots):
        async def read(self, origin):
            await reached.wait()
            raise LedgerUnavailable("Redis is gone")

    async def story():
        nonlocal reached
        reached = asyncio.Event()
        async with gate(Web(FILE), cache=Gone, hold_s=0.01) as mine:
            unheard = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
            assert await mine.verdict(SITE + "/") == Unreachable(PARK_S)
            reached.set()
            while mine._learning:
                await asyncio.sleep(0)
            gc.collect()
            assert unheard == []
            with pytest.raises(LedgerUnavailable):
                await mine.verdict(SITE + "/")

    reached = None
    asyncio.run(story())


@pytest.mark.parametrize(
    ("crawl", "token"),
    [
        ({}, "CrawlMQ"),
        ({"user_agent": "ShopBot/1.0 (+https://shop.example/bot)"}, "ShopBot"),
        ({"user_agent": "Mozilla/5.0 (ShopBot/1.0)", "robots": {"product_token": "ShopBot"}}, "ShopBot"),
        ({"user_agent": "7"}, ""),
    ],
)
def test_our_name_in_files_is_configured_or_the_user_agents_own(crawl, token):
    assert token_of(CrawlSpec.model_validate({"exchange": "x", **crawl})) == token


@pytest.mark.parametrize("wrong", [{"product_token": "Shop/1"}, {"retry_s": []}, {"retry_s": [0]}, {"obey": "perhaps"}])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValidationError):
        RobotsSpec.model_validate(wrong)


def test_a_crawl_that_does_not_obey_asks_nobody():
    assert asyncio.run(NoRobots().verdict(SITE + "/private")) == Allowed()
