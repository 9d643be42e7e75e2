"""What every memory of what hosts bring promises, tried on both: in dictionaries and in Redis."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawl_dedup import LedgerName, MemoryNovelty, MemoryNoveltyStore, RedisNovelty, forget, open_redis
from crawl_dedup.novelty import REMEMBERED_S
from stories import in_a_world

NAME = LedgerName("news")
HOST = "site.example"


class MemoryWorld:
    def __init__(self):
        self.now_s = 0.0
        self.stores = {}

    def novelty(self, *, of_last=10, least_new=3, name=NAME):
        store = self.stores.setdefault(name, MemoryNoveltyStore(clock=lambda: self.now_s))
        return MemoryNovelty(store, of_last=of_last, least_new=least_new)

    async def passes(self, seconds):
        self.now_s += seconds

    async def forget(self):
        self.stores.clear()


class RedisWorld:
    def __init__(self, redis):
        self.redis = redis

    def novelty(self, *, of_last=10, least_new=3, name=NAME):
        return RedisNovelty(self.redis, name, of_last=of_last, least_new=least_new)

    async def passes(self, seconds):
        for key in await self.redis.call("KEYS", "crawl:*:novel:*"):
            left_ms = await self.redis.call("PTTL", key) - int(seconds * 1000)
            await self.redis.call(*(("DEL", key) if left_ms <= 0 else ("PEXPIRE", key, left_ms)))

    async def forget(self):
        await forget(self.redis, NAME)


@asynccontextmanager
async def memory_world():
    yield MemoryWorld()


@asynccontextmanager
async def redis_world(url):
    async with await open_redis(url, name="tests") as redis:
        yield RedisWorld(redis)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_world(request):
    if request.param == "memory":
        return memory_world
    return partial(redis_world, request.getfixturevalue("fresh_redis"))


async def saw(novelty, pages, host=HOST):
    """The answers for pages, written as number and body, such as 12a."""
    return [await novelty.saw(host, page[:-1], page[-1].encode()) for page in pages]


def same(numbers, body="x"):
    return [f"{number}{body}" for number in numbers]


@in_a_world
async def test_so_many_pages_without_anything_new_make_a_trap_for_good(world):
    novelty = world.novelty()
    assert await saw(novelty, same(range(9))) == [False] * 9
    assert await saw(novelty, ["9x", "10y", "11z"]) == [True] * 3
    assert await world.novelty().saw(HOST, "12", b"new")


@in_a_world
async def test_enough_that_is_new_among_the_latest_is_no_trap(world):
    novelty = world.novelty()
    assert not any(await saw(novelty, ["0a", "1b", "2c", *same(range(3, 10), "a")]))
    assert await saw(novelty, ["10a"]) == [True]  # the page that brought a has left, and only b and c were new


@in_a_world
async def test_what_none_of_the_latest_had_is_new_again(world):
    novelty = world.novelty(of_last=10, least_new=2)
    pages = [f"{number}{'abcdefghijk'[number % 11]}" for number in range(60)]
    assert not any(await saw(novelty, pages))
    assert (await saw(novelty, [f"{number}{'ab'[number % 2]}" for number in range(60, 90)]))[-1]


@in_a_world
async def test_a_page_counts_once_however_often_it_is_told(world):
    novelty = world.novelty()
    assert not any(await saw(novelty, same([1] * 30)))
    assert not any(await saw(novelty, same(range(9)) * 4))


@in_a_world
async def test_each_host_each_crawl_and_each_group_has_its_own(world):
    await saw(world.novelty(), same(range(10)))
    assert not any(await saw(world.novelty(), same(range(9)), host="other.example"))
    for name in (LedgerName("news", "other"), LedgerName("docs")):
        assert not any(await saw(world.novelty(name=name), same(range(9))))


@in_a_world
async def test_other_rules_begin_anew(world):
    await saw(world.novelty(), same(range(9)))
    other = world.novelty(of_last=12, least_new=2)
    assert await saw(other, same(range(9, 21))) == [False] * 11 + [True]


@in_a_world
async def test_a_host_that_was_left_alone_for_long_begins_anew(world):
    await saw(world.novelty(), same(range(9)))
    await world.passes(REMEMBERED_S + 1)
    assert not any(await saw(world.novelty(), same(range(9, 18))))


@in_a_world
async def test_a_forgotten_crawl_has_forgotten_its_traps(world):
    await saw(world.novelty(), same(range(10)))
    await world.forget()
    assert not any(await saw(world.novelty(), same(range(9))))


@in_a_world
async def test_a_host_takes_nine_bytes_a_page_and_a_trap_none(world):
    novelty = world.novelty(of_last=50, least_new=2)
    for number in range(300):
        assert not await novelty.saw(HOST, str(number), str(number).encode())
    if hasattr(world, "redis"):
        [key] = await world.redis.call("KEYS", "crawl:*:novel:*")
        assert await world.redis.call("STRLEN", key) == 24 + 9 * 50
    assert any([await novelty.saw(HOST, str(number), b"same") for number in range(300, 360)])
    if hasattr(world, "redis"):
        assert await world.redis.call("KEYS", "crawl:*:novel:*") == []


told = st.tuples(st.sampled_from(["a.example", "b.example"]), st.integers(0, 15), st.sampled_from("xyzuvw"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(told, max_size=60), rules=st.tuples(st.integers(2, 6), st.integers(1, 4)))
def test_memory_and_redis_tell_the_same_story(fresh_redis, story, rules):
    async def play():
        of_last, least_new = rules
        async with redis_world(fresh_redis) as in_redis:
            await in_redis.redis.call("FLUSHDB")
            both = [world.novelty(of_last=of_last, least_new=least_new) for world in (MemoryWorld(), in_redis)]
            for host, page, body in story:
                memory, redis = [await each.saw(host, str(page), body.encode()) for each in both]
                assert memory == redis, (host, page, body)

    asyncio.run(play())
