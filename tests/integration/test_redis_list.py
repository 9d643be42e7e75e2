"""Items in a Redis list, when answers are lost and groups are large."""

import asyncio
import json
from collections import Counter

import pytest
from redis.exceptions import ConnectionError as ConnectionLost

from crawl_consumer.errors import OutputFailed
from crawl_consumer.sinks.redis_list import REMEMBERED_S, RedisListSink
from crawl_dedup import open_redis
from sink_worlds import article

LIST = "docs:items"


class Forgetful:
    """A connection that loses the first answer, after the command was carried out."""

    def __init__(self, connection):
        self._connection = connection
        self.lost = 0

    def __getattr__(self, name):
        return getattr(self._connection, name)

    async def read_response(self):
        await self._connection.read_response()
        self.lost += 1
        raise ConnectionLost("the answer is lost")


def play(url, story):
    async def main():
        async with await open_redis(url, name="tests") as redis:
            await story(redis)

    asyncio.run(main())


def test_a_group_whose_answer_was_lost_is_there_once(fresh_redis):
    async def story(redis):
        async with RedisListSink(redis, LIST, writer="w") as sink:
            for page in range(3):
                redis._connection = forgetful = Forgetful(redis._connection)
                sink.write(article(page))
                await sink.flush()
                assert forgetful.lost == 1
        kept = [json.loads(item)["_key"] for item in await redis.call("LRANGE", LIST, 0, -1)]
        assert kept == ["3f.0.0", "3f.1.0", "3f.2.0"]

    play(fresh_redis, story)


def test_a_group_of_any_size_is_one_step(fresh_redis):
    async def story(redis):
        async with RedisListSink(redis, LIST, writer="w") as sink:
            for number in range(20_001):
                sink.write(article(1, number))
            await sink.flush()
        kept = Counter(json.loads(item)["_key"] for item in await redis.call("LRANGE", LIST, 0, -1))
        assert kept == Counter(f"3f.1.{number}" for number in range(20_001))

    play(fresh_redis, story)


def test_what_redis_remembers_of_a_writer_goes_by_itself(fresh_redis):
    async def story(redis):
        async with RedisListSink(redis, LIST, writer="w") as sink:
            sink.write(article(1))
            await sink.flush()
        (other,) = set(await redis.call("KEYS", "*")) - {LIST.encode()}
        assert 0 < await redis.call("TTL", other) <= REMEMBERED_S

    play(fresh_redis, story)


def test_a_key_that_holds_something_else_is_a_failure_of_the_output(fresh_redis):
    async def story(redis):
        await redis.call("SET", LIST, "mine")
        sink = await RedisListSink(redis, LIST, writer="w").__aenter__()
        sink.write(article(1))
        with pytest.raises(OutputFailed, match=LIST):
            await sink.flush()
        assert await redis.call("GET", LIST) == b"mine"

    play(fresh_redis, story)
