"""What the doctor makes of dead letters, on the in-memory broker and ledger: which of them are open URLs."""

import asyncio

import pytest

from crawl_producer.broker import Outgoing
from crawl_producer.doctor.facts import DeadFacts, QueueFacts
from crawl_producer.doctor.observe_dead import observe
from dead_kit import TOPOLOGY, DeadWorld, body, letter, url


def told(story, **options):
    """The facts of dead.q, when the story has filled it."""

    async def main():
        async with DeadWorld() as world:
            await story(world)

            async def ledger_of(queue):
                return world.ledger()

            before = await facts_of(world)
            found = await observe(TOPOLOGY, ["q"], before, world.broker, ledger_of, **options)
            assert world.server.queue("dead.q").ready  # reading takes nothing away
            return found["q"]

    return asyncio.run(main())


async def facts_of(world):
    depth = await world.broker.depth("dead.q")
    return {"dead.q": getattr(world, "others", QueueFacts("dead.q", depth.ready, depth.consumers))}


def victim(n):
    """A letter of RabbitMQ's: the URL has not ended."""
    return Outgoing("crawl.dead", "q", body(n), f"id-{n}")


async def opened(world, *numbers):
    for n in numbers:
        await world.ledger("consumer").begin(world.store.fingerprint(url(n)))
    await world.ledger("consumer").leave()


def test_letters_of_ended_urls_bad_messages_and_other_crawls_are_no_messages_of_open_urls():
    async def story(world):
        await world.die(0, 1, 2)
        await opened(world, 3, 4)
        bad = [Outgoing("crawl.dead", "q", text, "id-9") for text in (b"{", b"", b"{}", b"\xff" * 5000)]
        other = Outgoing("crawl.dead", "q", body(5).replace(b'"c"', b'"d"'), "id-5")
        unknown = victim(6)
        await world.broker.publish_all([*bad, other, unknown, victim(3), victim(3), victim(4)])

    assert told(story) == DeadFacts(open=2, unread=0)


def test_a_url_that_was_reopened_for_its_letter_is_open():
    async def story(world):
        await world.die(0)
        ledger = world.ledger()
        assert await ledger.reopen(ledger.fingerprint(url(0)), outcome="failed_timeout", letter="1000")

    assert told(story) == DeadFacts(open=1, unread=0)


@pytest.mark.parametrize(("limit", "facts"), [(3, DeadFacts(3, 2)), (5, DeadFacts(5, 0)), (None, DeadFacts(5, 0))])
def test_of_very_many_letters_only_the_oldest_are_read(limit, facts):
    async def story(world):
        await opened(world, *range(5))
        await world.broker.publish_all([victim(n) for n in range(5)])

    assert told(story, limit=limit) == facts


def test_what_another_reader_has_in_hand_counts_as_not_read():
    async def story(world):
        await world.broker.publish(letter(0))
        world.others = QueueFacts("dead.q", 1, 1, unacked=7)

    assert told(story) == DeadFacts(open=0, unread=7)
