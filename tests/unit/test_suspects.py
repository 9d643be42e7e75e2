"""Who fetches together, and who alone; and what becomes of those that consumers died over."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from crawl_consumer.errors import OutputFailed
from crawl_consumer.suspects import MOST_TRIALS, Company
from crawl_dedup import ALIVE_TTL_S
from small_world import HOME, Kept, World, html


class Visitors:
    """Tasks that come into a company and stay until they are told to leave."""

    def __init__(self):
        self.company = Company()
        self.inside = []
        self._leave = {}
        self._tasks = {}

    async def come(self, name, *, alone=False):
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, alone=alone))
        await self._settle()

    async def leaves(self, name):
        self._leave[name].set()
        await self._tasks.pop(name)
        await self._settle()

    async def gives_up(self, name):
        task = self._tasks.pop(name)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await self._settle()

    async def _stay(self, name, *, alone):
        async with self.company.joined(alone=alone):
            self.inside.append(name)
            try:
                await self._leave[name].wait()
            finally:
                self.inside.remove(name)

    async def _settle(self):
        for _ in range(5):
            await asyncio.sleep(0)


def played(story):
    def test():
        asyncio.run(story(Visitors()))

    test.__name__ = story.__name__
    return test


@played
async def test_many_fetch_together(here):
    await here.come("a")
    await here.come("b")
    assert here.inside == ["a", "b"]


@played
async def test_one_who_must_be_alone_waits_for_the_others_and_those_who_come_later_wait_for_him(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    await here.come("b")
    assert here.inside == ["a"]
    await here.leaves("a")
    assert here.inside == ["suspect"]
    await here.leaves("suspect")
    assert here.inside == ["b"]


@played
async def test_suspects_go_one_by_one_and_let_others_in_between(here):
    await here.come("s1", alone=True)
    await here.come("a")
    await here.come("s2", alone=True)
    await here.come("b")
    turns = [list(here.inside)]
    for name in ("s1", "a", "s2"):
        await here.leaves(name)
        turns.append(list(here.inside))
    assert turns == [["s1"], ["a"], ["s2"], ["b"]]


@played
async def test_who_gives_up_waiting_holds_nobody_up(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    await here.come("b")
    await here.gives_up("suspect")
    assert here.inside == ["a", "b"]
    await here.gives_up("a")
    await here.come("alone", alone=True)
    await here.leaves("b")
    assert here.inside == ["alone"]


@played
async def test_who_is_let_in_and_called_off_at_once_leaves_no_ghost(here):
    await here.come("a")
    await here.come("suspect", alone=True)
    here._leave["a"].set()
    while here.inside:
        await asyncio.sleep(0)
    here._tasks["suspect"].cancel()  # may have its turn by now, but has not run since
    with pytest.raises(asyncio.CancelledError):
        await here._tasks["suspect"]
    await here.come("b", alone=True)
    assert here.inside == ["b"]


def suspect_world(pages, *suspects, **crawl):
    """A world with these seeds, which a consumer had in hand when it died."""
    world = World(pages, robots={"obey": False}, **crawl)

    async def begun():
        await world.seed(*suspects)
        dead = world.ledger("dead")
        await dead.heartbeat()
        for url in suspects:
            await dead.begin(dead.fingerprint(url))
        world.skew_s += ALIVE_TTL_S + 1

    world.begun = begun
    return world


class Full(Kept):
    async def flush(self):
        raise OutputFailed("disk full")


def test_a_consumer_that_ends_in_good_order_makes_nobody_guilty():
    async def main():
        async with suspect_world({HOME: html()}, HOME) as world:
            await world.begun()
            for n in range(MOST_TRIALS + 1):
                with pytest.raises(OutputFailed):
                    await world.crawl(f"c{n}", sink=Full())
            await world.crawl("at last")
            return (await world.progress()).outcomes

    assert asyncio.run(main()) == {"ok": 1}


def test_a_consumer_that_is_called_off_makes_nobody_guilty():
    async def main():
        async with suspect_world({HOME: html()}, HOME) as world:
            await world.begun()
            fetching = asyncio.Event()

            async def for_ever(url, **_):
                fetching.set()
                await asyncio.Event().wait()

            fetch, world.web.fetch = world.web.fetch, for_ever
            for n in range(MOST_TRIALS + 1):
                consumer = asyncio.create_task(world.crawl(f"c{n}"))
                await fetching.wait()
                fetching.clear()
                consumer.cancel()
                await asyncio.gather(consumer, return_exceptions=True)
            world.web.fetch = fetch
            await world.crawl("at last")
            return (await world.progress()).outcomes

    assert asyncio.run(main()) == {"ok": 1}


def test_a_host_is_asked_no_more_at_once_because_others_were_alone_before():
    """Who waits for a suspect has not been told yet that it is his host's turn."""
    slow, pages = "https://other.example/slow", [f"{HOME}{n}" for n in range(4)]

    async def main():
        rules = {"delay_s": 0.2, "max_in_flight_per_host": 4, "hold_s": 3}
        async with suspect_world(dict.fromkeys([slow, *pages], html()), slow, politeness=rules) as world:
            await world.begun()
            fetch = world.web.fetch

            async def slowly(url, **options):
                answer = await fetch(url, **options)
                await asyncio.sleep(1.0 if url == slow else 0)
                return answer

            world.web.fetch = slowly
            await world.seed(*pages)
            await world.crawl("c", concurrency=8)
            at = [when for url, when in zip(world.web.fetched, world.web.at, strict=True) if url != slow]
            return min(later - earlier for earlier, later in pairwise(at))

    assert asyncio.run(main()) > 0.15


def test_of_many_suspects_a_few_wait_and_the_others_come_back_later():
    urls = [f"{HOME}{n}" for n in range(40)]

    async def main():
        async with suspect_world(dict.fromkeys(urls, html()), *urls) as world:
            await world.begun()
            fetch = world.web.fetch

            async def slowly(url, **options):
                await asyncio.sleep(0.01)
                return await fetch(url, **options)

            world.web.fetch = slowly
            tally = await world.crawl("c", concurrency=32)
            return tally.parked, Counter(world.web.fetched), (await world.progress()).outcomes

    parked, fetched, outcomes = asyncio.run(main())
    assert parked > 0
    assert set(fetched.values()) == {1}
    assert outcomes == {"ok": 40}
