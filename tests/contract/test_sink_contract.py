"""What every output promises: what was flushed is there for others to read, and told apart by its key."""

import asyncio
from functools import partial

import pytest

from crawl_consumer.errors import ItemInvalid
from crawl_consumer.sink import Record
from sink_worlds import Article, FileWorld, SqlWorld, article, exchange_world, itself, redis_list_world
from stories import in_a_world

SERVERS = ["postgres", "mariadb", "redis"]
FILES = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst"]


@pytest.fixture(params=[*FILES, "sqlite", "exchange", *(pytest.param(s, marks=pytest.mark.servers) for s in SERVERS)])
def new_world(request, tmp_path):
    match request.param:
        case "sqlite":
            return partial(itself, SqlWorld(f"sqlite:///{tmp_path}/items.db"))
        case "postgres" | "mariadb" as database:
            world = SqlWorld(request.getfixturevalue(database).url)
            world.empty()
            return partial(itself, world)
        case "exchange":
            return exchange_world
        case "redis":
            return partial(redis_list_world, request.getfixturevalue("fresh_redis"))
        case ending:
            return partial(itself, FileWorld(tmp_path, ending))


@in_a_world
async def test_what_was_flushed_is_there_and_what_was_not_may_not_be(world):
    async with world.sink() as sink:
        sink.write(article(1, title='größer, "quoted"\nand on two lines'))
        assert await world.read() == []
        await sink.flush()
        assert await world.read() == [("3f.1.0", 'größer, "quoted"\nand on two lines')]
        await sink.flush()
        sink.write(article(2))
    assert await world.read() == [("3f.1.0", 'größer, "quoted"\nand on two lines'), ("3f.2.0", "a title")]


@in_a_world
async def test_a_page_that_comes_again_is_one_record_for_each_key(world):
    """Killed between flush and commit, fetched again by another."""
    async with world.sink("killed") as sink:
        sink.write(article(1, 0, "old"))
        sink.write(article(1, 1, "old"))
        await sink.flush()
    async with world.sink("other") as sink:
        sink.write(article(1, 0, "new"))
        sink.write(article(1, 1, "new"))
        sink.write(article(2, 0, "new"))
        await sink.flush()
    last = dict(await world.read())
    assert set(last) == {"3f.1.0", "3f.1.1", "3f.2.0"}


@in_a_world
async def test_pages_that_flush_together_are_all_there(world):
    async def page(sink, number):
        for item in range(3):
            sink.write(article(number, item))
        await sink.flush()
        assert {f"3f.{number}.{item}" for item in range(3)} <= set(dict(await world.read()))

    async with world.sink() as sink:
        await asyncio.gather(*(page(sink, number) for number in range(20)))
    assert len(await world.read()) == 60


@in_a_world
async def test_an_item_that_does_not_fit_leaves_the_others_be(world):
    async with world.sink() as sink:
        sink.write(article(1))
        with pytest.raises(ItemInvalid):
            sink.write(Record("3f.2", 0, {"title": object(), "words": object()}, Article))
        sink.write(article(3))
        await sink.flush()
        assert [key for key, _ in await world.read()] == ["3f.1.0", "3f.3.0"]


@in_a_world
async def test_who_is_cancelled_while_he_flushes_leaves_the_others_be(world):
    async with world.sink() as sink:
        sink.write(article(1))
        impatient = asyncio.create_task(sink.flush())
        sink.write(article(2))
        patient = asyncio.create_task(sink.flush())
        await asyncio.sleep(0)
        impatient.cancel()
        await patient
        assert len(await world.read()) == 2


@in_a_world
async def test_an_output_without_items_leaves_nothing_behind(world):
    async with world.sink() as sink:
        await sink.flush()
    assert await world.read() == []


@in_a_world
async def test_two_consumers_write_side_by_side(world):
    async with world.sink("a") as a, world.sink("b") as b:
        for number in range(10):
            a.write(article(number))
            b.write(article(100 + number))
            await asyncio.gather(a.flush(), b.flush())
    assert len(dict(await world.read())) == 20
