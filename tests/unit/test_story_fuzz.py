"""Whole crawls in memory, from hundreds of seeds: consumers are killed, cancelled and cut off, and nothing is missing.

A failing seed is named by its test: ``pytest 'tests/unit/test_story_fuzz.py' -k 'seed7'`` plays it again.
"""

import asyncio
import os
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from crawl_dedup.errors import CrawlError
from fuzzed_world import PATIENCE_S, FuzzedWorld, Life, in_virtual_time
from small_world import HOME

#: Crawls; each takes some ten milliseconds.
SEEDS = int(os.environ.get("CRAWL_TEST_SEEDS", "300"))
CONSUMERS = 3
#: A life that has ended is followed by the next one after this long, seconds of virtual time.
REBIRTH_S = 1.0


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed{seed}")
def test_a_crawl_ends_complete_whatever_happens_to_its_consumers(seed, monkeypatch):
    in_virtual_time(monkeypatch, crawl, seed)


async def crawl(chance):
    async with FuzzedWorld(chance) as world, AsyncExitStack() as stack:
        await world.seed(f"{HOME}0", f"{HOME}{world.size}")  # reads in a thread, whose time is the real one
        await stack.enter_async_context(asyncio.timeout(PATIENCE_S))
        lives = {}
        keepers = [asyncio.create_task(keep_alive(world, n, lives)) for n in range(CONSUMERS)]
        disaster = asyncio.create_task(disasters(world, lives, chance))
        try:
            await asyncio.gather(*keepers)
        finally:
            for task in (disaster, *keepers):
                task.cancel()
            await asyncio.gather(disaster, *keepers, return_exceptions=True)
        await Life(world).run("the last")  # takes the copies that came out of delay queues since
        await check(world)


async def keep_alive(world, number, lives):
    lived = 0
    while not (await world.progress()).complete:
        life, lived = Life(world), lived + 1
        lives[number] = life, asyncio.create_task(life.run(f"consumer {number} in life {lived}"))
        await asyncio.wait([lives[number][1]])
        if not lives[number][1].cancelled() and (error := lives[number][1].exception()):
            assert isinstance(error, CrawlError), error
        await asyncio.sleep(REBIRTH_S)


async def disasters(world, lives, chance):
    for _ in range(chance.randrange(40)):
        await asyncio.sleep(chance.random() * chance.choice([0.2, 2, 10]))
        life, task = lives[chance.randrange(CONSUMERS)]
        if task.done() or life.broker is None:
            continue
        match chance.choice(["connection", "connection", "cancel", "kill", "alarm"]):
            case "connection":
                life.broker.lose_connection()
            case "cancel":
                task.cancel()
            case "kill":
                life.kill()
                task.cancel()
            case "alarm":
                world.broker.server.block()
                await asyncio.sleep(chance.random())
                world.broker.server.unblock()


async def check(world):
    books = await world.progress()
    statuses = {url: page[0] for url, page in world.pages.items()}
    assert books.complete
    assert books.admitted == len(statuses)
    outcome = {200: "ok", 301: "redirect", 404: "http_404"}
    assert books.outcomes == Counter(outcome[status] for status in statuses.values())
    counts = Counter(books.counts)
    assert counts["adopted"] == 0
    assert counts["discovered"] == books.admitted + counts["duplicate"] + counts["filtered:host"]
    fetches = Counter(world.site.fetched)
    assert fetches.keys() == statuses.keys()
    for url, fetched in fetches.items():
        assert fetched <= 1 + world.again[url], f"{url} was fetched {fetched} times, {world.again[url]} are explained"
    assert set(world.records) == {url for url, status in statuses.items() if status == 200}
    held = {name: len(queue.ready) for name, queue in world.broker.server.queues.items() if queue.ready}
    assert held == {}
