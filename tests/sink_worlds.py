"""The outputs that a test may try, each with a way to read what is safe in it by now, as somebody else would."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from backports import zstd

from crawl_consumer.sink import Record, Sink
from crawl_consumer.sinks.exchange import ExchangeSink
from crawl_consumer.sinks.files import FilesSink
from crawl_consumer.sinks.jsonlines import JsonLinesSink
from crawl_consumer.sinks.redis_list import RedisListSink
from crawl_consumer.sinks.sql import SqlSink
from crawl_dedup import open_redis
from crawl_producer.declarations import Binding, Exchange, Queue
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.rotation import Rotation

#: (key, title)
Kept = tuple[str, str]


@dataclass(frozen=True)
class Article:
    """A typed item."""

    title: str
    words: int | None = None


def article(page: int, number: int = 0, title: str = "a title", words: int | None = None) -> Record:
    """The item ``number`` of a page."""
    return Record(f"3f.{page}", number, {"title": title, "words": words}, Article)


class World(Protocol):
    """One output, as several consumers and one reader see it."""

    def sink(self, writer: str = "w") -> Sink:
        """The output as this consumer's own, not yet open."""

    async def read(self) -> list[Kept]:
        """Everything that is safe in it by now, doubles included."""


class FileWorld:
    """Files whose name ends like this, in one folder."""

    def __init__(self, folder: Path, ending: str, rotation: Rotation | None = None) -> None:
        self._path = folder / f"items{ending}"
        self._rotation = rotation or Rotation()

    def sink(self, writer: str = "w") -> Sink:
        if self._path.suffix == ".jsonl":
            return JsonLinesSink(self._path)
        return FilesSink(self._path, writer=writer, rotation=self._rotation)

    def files(self) -> list[Path]:
        return sorted(self._path.parent.glob(f"*items*{''.join(self._path.suffixes)}"))

    async def read(self) -> list[Kept]:
        return [kept for path in self.files() for kept in _kept_in(path)]


class SqlWorld:
    """A database whose table ``article`` is not there yet."""

    def __init__(self, url: str) -> None:
        self._url = url

    def empty(self) -> None:
        engine = sa.create_engine(self._url)
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS article"))
        engine.dispose()

    def sink(self, writer: str = "w") -> Sink:
        return SqlSink(self._url)

    async def read(self) -> list[Kept]:
        engine = sa.create_engine(self._url)
        with engine.connect() as connection:
            there = sa.inspect(connection).has_table("article")
            rows = connection.execute(sa.text("SELECT _page, _number, title FROM article")).all() if there else []
        engine.dispose()
        return [(f"{page}.{number}", title) for page, number, title in rows]


class ExchangeWorld:
    """A topic exchange with one queue that takes every kind of item."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._got: list[bytes] = []

    async def prepare(self) -> None:
        await self._broker.declare(Exchange("items", "topic"))
        await self._broker.declare(Queue("items.all", {"x-queue-type": "quorum"}))
        await self._broker.bind(Binding("items", "items.all", "#"))
        await self._broker.consume("items.all", prefetch=100, deliver=lambda d: (self._got.append(d.body), d.ack()))

    def sink(self, writer: str = "w") -> Sink:
        return ExchangeSink(self._broker, "items", "item.{kind}")

    async def read(self) -> list[Kept]:
        while (await self._broker.depth("items.all")).ready:
            await asyncio.sleep(0)
        return _keyed(map(json.loads, self._got))


class RedisListWorld:
    """A list in Redis."""

    def __init__(self, redis) -> None:
        self._redis = redis

    def sink(self, writer: str = "w") -> Sink:
        return RedisListSink(self._redis, "docs:items", writer=writer)

    async def read(self) -> list[Kept]:
        return _keyed(map(json.loads, await self._redis.call("LRANGE", "docs:items", 0, -1)))


@asynccontextmanager
async def exchange_world() -> AsyncIterator[ExchangeWorld]:
    async with MemoryBroker() as broker:
        world = ExchangeWorld(broker)
        await world.prepare()
        yield world


@asynccontextmanager
async def redis_list_world(url: str) -> AsyncIterator[RedisListWorld]:
    async with await open_redis(url, name="tests") as redis:
        yield RedisListWorld(redis)


@asynccontextmanager
async def itself(world: World) -> AsyncIterator[World]:
    yield world


def _kept_in(path: Path) -> list[Kept]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstd.decompress(data)
    if ".csv" in path.suffixes:
        return _keyed(csv.DictReader(io.StringIO(data.decode(), newline="")))
    return _keyed(map(json.loads, data.splitlines()))


def _keyed(rows: Iterable[dict[str, str]]) -> list[Kept]:
    return [(row["_key"], row["title"]) for row in rows]
