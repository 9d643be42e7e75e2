"""Seeding from keys of a real Redis: what is admitted goes, what is bad is kept aside, and a failure loses nothing."""

import asyncio
import json

import pytest

from crawl_dedup import open_plain_redis
from crawl_producer.admission import Admitted
from crawl_producer.errors import PublishFailed, SeedsUnreadable
from crawl_producer.message import UrlMessage
from crawl_producer.own_routes import AnyRoute
from crawl_producer.seeding import Seeding
from crawl_producer.sources.redis_key import RedisKey
from crawl_producer.sources.service import BATCH, drain
from polling import until

KEY = "news:start_urls"
MANY = [f"https://e.org/{n}" for n in range(2 * BATCH + 17)]
WRITERS = {
    "list": lambda url, _: ("RPUSH", KEY, url),
    "set": lambda url, _: ("SADD", KEY, url),
    "zset": lambda url, place: ("ZADD", KEY, -place, url),
}


class Door:
    """Admits what it is given, in one list; or fails."""

    def __init__(self, fails=0):
        self.urls, self.meta, self.fails = [], [], fails

    async def sweep(self):
        pass

    async def admit(self, work, *, seed):
        if self.fails:
            self.fails -= 1
            raise PublishFailed("no confirm")
        self.urls += [link.url for link in work.links]
        self.meta += [UrlMessage.decode(link.encode()).meta for link in work.links]
        return Admitted(admitted=len(work.links))


def play(url, story):
    async def run():
        async with asyncio.timeout(60), await open_plain_redis(url, name="tests") as redis:
            return await story(redis)

    return asyncio.run(run())


async def taken(redis, door, *, follow=False, stop=None):
    seeding = Seeding("c", door, lambda _: "parent")
    stop = stop or asyncio.Event()
    return await drain(RedisKey(redis, KEY), seeding, routes=AnyRoute(), stop=stop, follow=follow)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_key_of_any_kind_is_emptied_into_the_crawl(kind, fresh_redis):
    async def story(redis):
        await asyncio.gather(*(redis.call(*WRITERS[kind](url, place)) for place, url in enumerate(MANY)))
        door = Door()
        report = await taken(redis, door)
        assert report.admitted == len(MANY)
        assert sorted(door.urls) == sorted(MANY)
        if kind != "set":
            assert door.urls == MANY
        assert await redis.call("EXISTS", KEY) == 0
        assert (await taken(redis, Door())).lines == 0

    play(fresh_redis, story)


def test_what_scrapy_redis_reads_is_understood_and_bad_ones_are_kept_aside(fresh_redis):
    async def story(redis):
        good = '{"url": "https://e.org/b", "meta": {"job": 1}}'
        await redis.call("LPUSH", KEY, "https://e.org/a", good, "nonsense", b"\xff", '{"url": "/", "method": "POST"}')
        door = Door()
        report = await taken(redis, door)
        assert (report.admitted, report.rejected) == (2, 3)
        assert dict(zip(door.urls, door.meta, strict=True)) == {"https://e.org/a": None, "https://e.org/b": {"job": 1}}
        notes = [json.loads(note) for note in await redis.call("LRANGE", f"{KEY}:rejected", 0, -1)]
        assert [(note["text"], note["reason"]) for note in notes] == [
            ('{"url": "/", "method": "POST"}', "method"),
            ("\\xff", "syntax"),
            ("nonsense", "syntax"),
        ]
        assert await redis.call("EXISTS", KEY) == 0

    play(fresh_redis, story)


def test_copies_of_one_url_all_go(fresh_redis):
    async def story(redis):
        await redis.call("RPUSH", KEY, *["https://e.org/"] * 5)
        report = await taken(redis, Door())
        assert (report.admitted, report.duplicate) == (1, 4)
        assert await redis.call("EXISTS", KEY) == 0

    play(fresh_redis, story)


def test_what_could_not_be_admitted_is_still_there(fresh_redis):
    async def story(redis):
        await redis.call("RPUSH", KEY, "https://e.org/a", "nonsense")
        with pytest.raises(PublishFailed):
            await taken(redis, Door(fails=1))
        assert await redis.call("LRANGE", KEY, 0, -1) == [b"https://e.org/a", b"nonsense"]
        assert (await taken(redis, Door())).admitted == 1

    play(fresh_redis, story)


def test_what_is_pushed_meanwhile_is_neither_lost_nor_taken_for_something_else(fresh_redis):
    async def story(redis):
        await redis.call("RPUSH", KEY, "https://e.org/a")

        class Slow(Door):
            async def admit(self, work, *, seed):
                if not self.urls:
                    await redis.call("LPUSH", KEY, "https://e.org/first")
                    await redis.call("RPUSH", KEY, "https://e.org/last")
                return await super().admit(work, seed=seed)

        door = Slow()
        await taken(redis, door)
        assert door.urls == ["https://e.org/a", "https://e.org/first", "https://e.org/last"]

    play(fresh_redis, story)


def test_a_key_that_holds_something_else_is_said(fresh_redis):
    async def story(redis):
        await redis.call("SET", KEY, "x")
        with pytest.raises(SeedsUnreadable, match="is a string"):
            await taken(redis, Door())

    play(fresh_redis, story)


def test_a_service_waits_for_a_key_that_is_not_there_yet(fresh_redis):
    async def story(redis):
        stop, door = asyncio.Event(), Door()
        running = asyncio.create_task(taken(redis, door, follow=True, stop=stop))
        for kind, url in (("list", "https://e.org/a"), ("set", "https://e.org/b")):
            await redis.call(*WRITERS[kind](url, 0))
            await until(lambda url=url: door.urls[-1:] == [url])
            await until(lambda: _gone(redis))
        stop.set()
        assert (await running).admitted == 2

    play(fresh_redis, story)


async def _gone(redis):
    return await redis.call("EXISTS", KEY) == 0
