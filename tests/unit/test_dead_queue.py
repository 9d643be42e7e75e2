"""Passes over a dead queue on the in-memory broker: every letter once, nothing lost, and an end."""

import asyncio
from contextlib import suppress

import pytest

from crawl_producer.dead_letters import Wanted
from crawl_producer.dead_queue import DeadQueue
from crawl_producer.errors import BrokerUnreachable, TopologyMissing
from crawl_producer.memory_broker import MemoryBroker
from dead_kit import DeadWorld, letter

ALL = [f"id-{n}" for n in range(25)]


def in_a_world(story, letters=25):
    async def play():
        async with asyncio.timeout(20), DeadWorld() as world:
            await world.broker.publish_all([letter(n) for n in range(letters)])
            await story(world)

    asyncio.run(play())


async def read(world, *, window=4, broker=None):
    async with broker or MemoryBroker(world.server) as client, DeadQueue(client, "q", window=window) as source:
        return [delivery.message_id async for delivery in source]


def test_a_pass_sees_every_letter_once_in_order_and_leaves_them_all():
    async def story(world):
        for _ in range(3):
            assert await read(world, window=25) == ALL
            assert await world.letters() == ALL

    in_a_world(story)


def test_more_letters_than_a_channel_takes_are_all_seen_once():
    async def story(world):
        for _ in range(3):
            seen = await read(world, window=4)
            assert (len(seen), set(seen)) == (25, set(ALL))
            assert await world.letters() == ALL

    in_a_world(story)


@pytest.mark.parametrize("letters", [0, 1, 4, 8])
def test_any_number_of_letters_ends_a_pass(letters):
    async def story(world):
        assert await read(world) == ALL[:letters]

    in_a_world(story, letters)


def test_what_is_taken_is_gone_and_the_rest_is_back():
    async def story(world):
        async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
            async for delivery in source:
                if delivery.message_id in ALL[::2]:
                    source.take(delivery)
        assert source.taken == 13
        assert await world.letters() == ALL[1::2]

    in_a_world(story)


def test_a_pass_that_is_left_early_gives_everything_back():
    async def story(world):
        async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
            async for delivery in source:
                if delivery.message_id == "id-10":
                    break
        assert await world.letters() == ALL

    in_a_world(story)


def test_letters_that_arrive_meanwhile_are_left_for_the_next_pass():
    async def story(world):
        seen = []
        async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
            async for delivery in source:
                seen.append(delivery.message_id)
                await world.broker.publish(letter(100 + len(seen)))
                source.take(delivery)
        assert seen == ALL
        assert len(await world.letters()) == 25

    in_a_world(story)


def test_letters_that_somebody_else_has_taken_do_not_keep_a_pass_waiting():
    async def story(world):
        seen = []
        async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
            async for delivery in source:
                seen.append(delivery.message_id)
                if len(seen) == 3:
                    await world.broker.purge("dead.q")
        assert seen == ALL[:4]

    in_a_world(story)


def test_a_second_reader_is_told_of_the_first(caplog):
    async def story(world):
        async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
            async for _ in source:
                break
            async with DeadQueue(client, "q", return_s=0.01):
                assert "somebody else reads dead.q too" in caplog.text

    in_a_world(story)


@pytest.mark.parametrize("after", [1, 4, 5, 24])
def test_a_lost_connection_ends_the_pass_instead_of_showing_letters_twice(after):
    async def story(world):
        broker, seen = MemoryBroker(world.server), []

        async def read_and_lose():
            async with broker, DeadQueue(broker, "q", window=4) as source:
                async for delivery in source:
                    seen.append(delivery.message_id)
                    if len(seen) == after:
                        broker.lose_connection()

        with pytest.raises(BrokerUnreachable, match=r"while dead\.q was read"):
            await read_and_lose()
        assert seen == ALL[:after]
        assert await world.letters() == ALL

    in_a_world(story)


def test_a_pass_that_is_cancelled_gives_everything_back():
    async def story(world):
        reached = asyncio.Event()

        async def forever():
            async with MemoryBroker(world.server) as client, DeadQueue(client, "q", window=4) as source:
                async for _ in source:
                    reached.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        await reached.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await world.letters() == ALL

    in_a_world(story)


def test_a_queue_that_does_not_exist_is_missing_topology():
    async def story(world):
        with pytest.raises(TopologyMissing):
            async with DeadQueue(world.broker, "nobody"):
                pass

    in_a_world(story)


def test_a_search_hands_over_what_is_wanted_in_batches_and_stops_at_its_limit():
    async def story(world):
        batches = []

        async def act(source, held):
            batches.append([found.message_id for _, found in held])

        wanted = Wanted(host="site0.example")
        assert await world.search(act, wanted=wanted, batch=3) == 9
        assert batches == [ALL[0:9:3], ALL[9:18:3], ALL[18::3]]
        batches.clear()
        assert await world.search(act, wanted=wanted, batch=3, limit=4) == 4
        assert batches == [ALL[0:9:3], ALL[9:10]]
        assert await world.letters() == ALL

    in_a_world(story)


def test_a_search_goes_through_several_queues_and_its_limit_spans_them():
    async def story(world):
        queues = []

        async def act(source, held):
            queues.append((source.queue, len(held)))

        everywhere = {"queues": ("m.a", "q", "m.b")}
        assert await world.search(act, **everywhere) == 25
        assert queues == [("q", 25)]
        assert await world.search(act, **everywhere, limit=25) == 25

    in_a_world(story)


def test_the_letters_of_a_reader_that_is_just_gone_are_waited_for():
    async def story(world):
        async with MemoryBroker(world.server) as other:
            await other.consume("dead.q", prefetch=25, deliver=lambda _: None)
            while world.server.queue("dead.q").ready:
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.05, other.give_up, BrokerUnreachable("killed"))
            assert await read(world) == ALL

    in_a_world(story)
