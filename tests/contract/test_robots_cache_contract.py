"""What every shared memory of robots.txt promises, tried on both: in a dictionary and in Redis."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from crawl_dedup import CachedRobots, MemoryRobots, MemoryRobotsStore, RedisRobots, RobotsRecord, open_redis
from crawl_dedup.robots_cache import HISTORY_S, MAX_FRESH_S

ORIGIN = "https://site.example:8443"
FILE = RobotsRecord(b"User-agent: *\nDisallow: /x\n" + bytes(range(256)), "http_200")
FAILURE = RobotsRecord(None, "timeout: no answer", failures=2, failing_since_s=1.7e9)


class MemoryWorld:
    def __init__(self):
        self.ahead_s = 0.0
        self.store = MemoryRobotsStore(clock=lambda: time.monotonic() + self.ahead_s)

    def cache(self, consumer):
        return MemoryRobots(self.store, consumer)

    async def passes(self, seconds):
        self.ahead_s += seconds


class RedisWorld:
    def __init__(self, redis):
        self.redis = redis

    def cache(self, consumer):
        return RedisRobots(self.redis, consumer=consumer)

    async def passes(self, seconds):
        for key in await self.redis.call("KEYS", "crawl:robots:*"):
            left_ms = await self.redis.call("PTTL", key) - int(seconds * 1000)
            await self.redis.call(*(("DEL", key) if left_ms <= 0 else ("PEXPIRE", key, left_ms)))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def play(request):
    """Runs an async story in a world."""

    @asynccontextmanager
    async def world():
        if request.param == "memory":
            yield MemoryWorld()
        else:
            async with await open_redis(request.getfixturevalue("fresh_redis"), name="tests") as redis:
                yield RedisWorld(redis)

    def play(story):
        async def main():
            async with world() as there:
                await story(there)

        if request.param == "redis":
            request.getfixturevalue("fresh_redis")
        asyncio.run(main())

    return play


def about(cached: CachedRobots | None, seconds: float) -> bool:
    return cached is not None and seconds - 5 < cached.fresh_s <= seconds


def test_what_one_consumer_keeps_all_can_read(play):
    async def story(world):
        a, b = world.cache("a"), world.cache("b")
        assert await b.read(ORIGIN) is None
        await a.keep(ORIGIN, FILE, fresh_s=1000)
        cached = await b.read(ORIGIN)
        assert cached.record == FILE
        assert about(cached, 1000)
        assert await b.read("http://site.example:8443") is None

    play(story)


def test_a_file_is_forgotten_when_it_is_no_longer_fresh(play):
    async def story(world):
        cache = world.cache("a")
        await cache.keep(ORIGIN, FILE, fresh_s=1000)
        await world.passes(600)
        assert about(await cache.read(ORIGIN), 400)
        await world.passes(401)
        assert await cache.read(ORIGIN) is None

    play(story)


def test_no_file_is_believed_for_longer_than_a_day(play):
    async def story(world):
        cache = world.cache("a")
        await cache.keep(ORIGIN, FILE, fresh_s=10 * MAX_FRESH_S)
        assert about(await cache.read(ORIGIN), MAX_FRESH_S)

    play(story)


def test_a_failure_is_remembered_when_it_is_time_to_try_again(play):
    async def story(world):
        cache = world.cache("a")
        await cache.keep(ORIGIN, FAILURE, fresh_s=300)
        assert about(await cache.read(ORIGIN), 300)
        await world.passes(301)
        assert await cache.read(ORIGIN) == CachedRobots(FAILURE, 0.0)
        await world.passes(HISTORY_S)
        assert await cache.read(ORIGIN) is None

    play(story)


def test_only_one_consumer_holds_the_lease_of_an_origin(play):
    async def story(world):
        a, b = world.cache("a"), world.cache("b")
        assert [await c.lease(ORIGIN, lease_s=60) for c in (a, b, b)] == [True, False, False]
        assert await b.lease("https://other.example", lease_s=60)
        await b.release(ORIGIN)
        assert not await b.lease(ORIGIN, lease_s=60)
        await a.release(ORIGIN)
        assert await b.lease(ORIGIN, lease_s=60)

    play(story)


def test_a_lease_that_is_taken_twice_for_want_of_an_answer_is_taken(play):
    async def story(world):
        a = world.cache("a")
        assert await a.lease(ORIGIN, lease_s=60)
        assert await a.lease(ORIGIN, lease_s=60)

    play(story)


def test_a_lease_ends_with_its_time(play):
    async def story(world):
        a, b = world.cache("a"), world.cache("b")
        await a.lease(ORIGIN, lease_s=60)
        await world.passes(61)
        assert await b.lease(ORIGIN, lease_s=60)
        await a.release(ORIGIN)
        assert not await a.lease(ORIGIN, lease_s=60)

    play(story)


@pytest.mark.parametrize("record", [FILE, FAILURE, RobotsRecord(b""), RobotsRecord(None)])
def test_a_record_survives_its_encoding(record):
    assert RobotsRecord.decode(record.encode()) == record


@pytest.mark.parametrize("encoded", [b"", b"{}", b"[]\n", b'{"v":2}\n', FILE.encode()[:-3], b"\xff\n"])
def test_what_is_no_record_of_this_version_is_none(encoded):
    assert RobotsRecord.decode(encoded) is None
