"""Replaying and dropping on the in-memory broker and ledger, broken off after every step there is."""

import asyncio

import pytest

from crawl_dedup import Commit, LedgerUnavailable, Verdict
from crawl_producer import dead_ends
from crawl_producer.broker import Outgoing
from crawl_producer.dead_ends import Ended
from crawl_producer.errors import TopologyMissing, Unconfirmed
from crawl_producer.memory_broker import MemoryBroker
from crawl_producer.message import UrlMessage
from dead_kit import DeadWorld, headers, letter, url


class Killed(BaseException):
    """kill -9."""


def in_a_world(story):
    async def play():
        async with asyncio.timeout(20), DeadWorld() as world:
            await story(world)

    asyncio.run(play())


async def end(world, how, *, broker=None, ledger=None, ended=None, **options):
    ended = Ended() if ended is None else ended
    client = broker or MemoryBroker(world.server)

    async def act(source, held):
        await how(held, source, broker=client, ledger=ledger or world.ledger(), ended=ended)

    await world.search(act, broker=client, **options)
    return ended


async def fetch_all(world, outcome="ok"):
    """What a consumer does with the replayed messages; returns how many it had to fetch."""
    fetched, ledger = 0, world.ledger("consumer")
    async with ledger, MemoryBroker(world.server) as broker:
        arrived = asyncio.Queue()
        ready = (await broker.depth("q.due")).ready
        await broker.consume("q.due", prefetch=100, deliver=arrived.put_nowait)
        for _ in range(ready):
            delivery = await arrived.get()
            fp = ledger.fingerprint(UrlMessage.decode(delivery.body).url)
            if (await ledger.begin(fp)).verdict is Verdict.GO:
                fetched += 1
                await ledger.commit(Commit(fp, outcome))
            delivery.ack()
    return fetched


# replay


def test_a_replayed_letter_is_gone_and_its_url_open_with_a_fresh_message():
    async def story(world):
        await world.die(0, 1)
        assert await world.books() == (0, {"failed_timeout": 2})
        ended = await end(world, dead_ends.replay, limit=1)
        assert (ended.replayed, ended.already, ended.skipped) == (1, 0, {})
        assert await world.letters() == ["id-1"]
        assert await world.books() == (1, {"failed_timeout": 1})
        (stored,) = world.server.queue("q.due").ready
        assert stored.headers == {}
        assert stored.message_id == world.ledger().fingerprint(url(0))
        assert UrlMessage.decode(stored.body) == UrlMessage(crawl="c", url=url(0))
        assert await fetch_all(world) == 1
        assert await world.books() == (0, {"failed_timeout": 1, "ok": 1})

    in_a_world(story)


def test_a_victim_of_the_delivery_limit_is_replayed_though_its_url_never_ended():
    async def story(world):
        ledger = world.ledger("consumer")
        async with ledger:
            await ledger.begin(ledger.fingerprint(url(0)))
        await world.broker.publish(Outgoing("crawl.dead", "q", letter(0).body, "id-0"))
        assert (await end(world, dead_ends.replay)).replayed == 1
        assert (await world.books())[0] == 1
        assert await fetch_all(world) == 1
        assert await world.books() == (0, {"ok": 1})

    in_a_world(story)


def test_a_letter_without_an_outcome_whose_url_ended_otherwise_is_only_taken_away():
    async def story(world):
        await world.die(0)
        await world.broker.purge("dead.q")
        await world.broker.publish(Outgoing("crawl.dead", "q", letter(0).body, "id-0"))
        ended = await end(world, dead_ends.replay)
        assert (ended.replayed, ended.already) == (0, 1)
        assert await world.letters() == []
        assert await world.books() == (0, {"failed_timeout": 1})

    in_a_world(story)


def test_what_cannot_be_replayed_stays_and_is_counted_with_its_reason():
    async def story(world):
        await world.die(0)
        foreign = b'{"v":1,"crawl":"other","url":"https://a.example/"}'
        await world.broker.publish_all(
            [Outgoing("crawl.dead", "q", body, f"id-{n}", headers(n)) for n, body in ((7, b"junk"), (8, foreign))]
        )
        ended = await end(world, dead_ends.replay)
        assert ended.replayed == 1
        assert sorted(reason[:20] for reason in ended.skipped) == ["a URL of crawl 'othe", "body: Invalid JSON: "]
        assert await world.letters() == ["id-7", "id-8"]
        assert (await world.books())[0] == 1

    in_a_world(story)


def test_a_url_that_dies_again_can_be_replayed_again():
    async def story(world):
        await world.die(0)
        await end(world, dead_ends.replay)
        await fetch_all(world, outcome="failed_timeout")
        await world.broker.publish(letter(0, died_ms=99_000))
        assert await world.books() == (0, {"failed_timeout": 1})
        assert (await end(world, dead_ends.replay)).replayed == 1
        assert await world.books() == (1, {})

    in_a_world(story)


def test_nothing_is_replayed_to_a_queue_that_is_not_there():
    async def story(world):
        await world.die(0)
        world.server.delete_queue("q.due")
        with pytest.raises(TopologyMissing):
            await end(world, dead_ends.replay)
        assert await world.letters() == ["id-0"]
        assert await world.books() == (0, {"failed_timeout": 1})
        assert not world.server.queue("crawl.unrouted").ready

    in_a_world(story)


def test_what_was_not_confirmed_stays_a_letter_and_the_others_are_replayed():
    class Doubtful(MemoryBroker):
        async def publish_all(self, messages):
            fates = await super().publish_all(messages)
            doubtful = [UrlMessage.decode(message.body).url == url(1) for message in messages]
            return [Unconfirmed("no confirm") if n else fate for n, fate in zip(doubtful, fates, strict=True)]

    async def story(world):
        await world.die(0, 1, 2)
        ended = Ended()
        with pytest.raises(Unconfirmed):
            await end(world, dead_ends.replay, broker=Doubtful(world.server), ended=ended)
        assert ended.replayed == 2
        assert await world.letters() == ["id-1"]
        assert (await end(world, dead_ends.replay)).replayed == 1
        assert await fetch_all(world) == 3
        assert await world.books() == (0, {"ok": 3})

    in_a_world(story)


def test_a_confirm_that_was_lost_with_its_connection_is_asked_for_again_by_publishing_again():
    class Cut(MemoryBroker):
        cut = False

        async def publish_all(self, messages):
            fates = await super().publish_all(messages)
            first, self.cut = not self.cut, True
            return [Unconfirmed("lost") for _ in messages] if first else fates

    async def story(world):
        await world.die(0, 1)
        assert (await end(world, dead_ends.replay, broker=Cut(world.server))).replayed == 2
        assert await world.letters() == []
        assert await fetch_all(world) == 2
        assert await world.books() == (0, {"ok": 2})

    in_a_world(story)


# replay, broken off


class DyingLedger:
    """A ledger whose client dies after (or before) so many reopenings."""

    def __init__(self, ledger, after):
        self._ledger, self._left = ledger, after

    def fingerprint(self, text):
        return self._ledger.fingerprint(text)

    async def reopen(self, fp, **how):
        if self._left == 0:
            raise Killed
        self._left -= 1
        return await self._ledger.reopen(fp, **how)


class DyingBroker(MemoryBroker):
    """A client that dies before it publishes, or when all is published and nothing acknowledged."""

    def __init__(self, server, *, published):
        super().__init__(server)
        self._published = published

    async def publish_all(self, messages):
        if self._published:
            await super().publish_all(messages)
        raise Killed


def dies_reopening(after):
    return lambda world: {"ledger": DyingLedger(world.ledger(), after)}


def dies_publishing(*, published):
    return lambda world: {"broker": DyingBroker(world.server, published=published)}


DEATHS = {
    "before reopening": dies_reopening(0),
    "between two reopenings": dies_reopening(2),
    "after reopening": dies_publishing(published=False),
    "after publishing": dies_publishing(published=True),
}


async def nothing_is_lost(world, numbers):
    """Every URL is a dead letter, or open with a message."""
    ledger = world.ledger("inspector")
    letters = {int(name.removeprefix("id-")) for name in await world.letters()}
    published = {message.url for message in world.messages()}
    for n in numbers:
        is_open = ledger.fingerprint(url(n)) in world.store.books(ledger.name).admitted
        assert n in letters or (is_open and url(n) in published), n


@pytest.mark.parametrize("death", DEATHS)
def test_a_replay_that_is_killed_and_run_again_loses_and_doubles_nothing(death):
    async def story(world):
        await world.die(*range(5))
        for _ in range(2):
            with pytest.raises(Killed):
                await end(world, dead_ends.replay, **DEATHS[death](world))
            await nothing_is_lost(world, range(5))
        ended = await end(world, dead_ends.replay)
        assert ended.replayed == 5
        assert await world.letters() == []
        await nothing_is_lost(world, range(5))
        assert await fetch_all(world) == 5
        assert await world.books() == (0, {"ok": 5})

    in_a_world(story)


def test_a_replay_that_was_killed_before_its_acknowledgement_fetches_nothing_twice():
    async def story(world):
        await world.die(*range(5))
        with pytest.raises(Killed):
            await end(world, dead_ends.replay, **DEATHS["after publishing"](world))
        assert await fetch_all(world) == 5
        assert await world.letters() == [f"id-{n}" for n in range(5)]
        ended = await end(world, dead_ends.replay)
        assert (ended.replayed, ended.already) == (0, 5)
        assert (await world.letters(), world.messages()) == ([], [])
        assert await world.books() == (0, {"ok": 5})

    in_a_world(story)


def test_without_redis_nothing_is_published_and_every_letter_stays():
    class Gone(DyingLedger):
        async def reopen(self, fp, **how):
            raise LedgerUnavailable("no Redis")

    async def story(world):
        await world.die(0, 1)
        with pytest.raises(LedgerUnavailable):
            await end(world, dead_ends.replay, ledger=Gone(world.ledger(), 0))
        assert await world.letters() == ["id-0", "id-1"]
        assert world.messages() == []

    in_a_world(story)


# drop


def test_dropped_letters_are_gone_and_the_books_stay():
    async def story(world):
        await world.die(0, 1, 2)
        ended = await end(world, dead_ends.drop, limit=2)
        assert (ended.dropped, ended.given_up) == (2, 0)
        assert await world.letters() == ["id-2"]
        assert await world.books() == (0, {"failed_timeout": 3})

    in_a_world(story)


def test_a_dropped_letter_of_an_open_url_ends_it_so_that_the_crawl_can_complete():
    async def story(world):
        ledger = world.ledger("consumer")
        async with ledger:
            await ledger.begin(ledger.fingerprint(url(0)))
        await world.broker.publish(Outgoing("crawl.dead", "q", letter(0).body, "id-0"))
        ended = await end(world, dead_ends.drop)
        assert (ended.dropped, ended.given_up) == (1, 1)
        assert await world.books() == (0, {"dropped": 1})
        assert (await world.ledger("reader").progress()).complete

    in_a_world(story)


def test_dropping_another_letter_of_a_url_that_is_replayed_does_not_end_it():
    async def story(world):
        await world.die(0)
        await world.broker.publish(letter(0, died_ms=99_000))
        await end(world, dead_ends.replay, limit=1)
        ended = await end(world, dead_ends.drop)
        assert (ended.dropped, ended.given_up) == (1, 0)
        assert await fetch_all(world) == 1
        assert await world.books() == (0, {"ok": 1})

    in_a_world(story)


def test_dropping_the_letter_of_a_replay_that_was_broken_off_ends_its_url():
    async def story(world):
        await world.die(0)
        with pytest.raises(Killed):
            await end(world, dead_ends.replay, **DEATHS["after reopening"](world))
        assert (await world.books())[0] == 1
        ended = await end(world, dead_ends.drop)
        assert (ended.dropped, ended.given_up) == (1, 1)
        assert await world.books() == (0, {"dropped": 1})

    in_a_world(story)


def test_what_cannot_be_read_can_be_dropped():
    async def story(world):
        await world.broker.publish(Outgoing("crawl.dead", "q", b"junk", "id-0", headers(0, reason="undecodable: x")))
        assert (await end(world, dead_ends.drop)).dropped == 1
        assert await world.letters() == []

    in_a_world(story)
